package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

const (
	apiVersion   = "2023-10-16" // the one stripe-go v76 is pinned to
	webhookLimit = 10 * time.Second
	webhookTries = 30
)

// event is one of Stripe's, as it is sent.
type event struct {
	id, kind string
	body     []byte
}

// newEvent makes an event about the intent and remembers it.
func (i *intent) newEvent(kind string, about object, now time.Time) event {
	e := event{id: newID("evt_"), kind: kind}
	e.body, _ = json.Marshal(object{"id": e.id, "object": "event", "type": kind, "api_version": apiVersion, "created": now.Unix(),
		"livemode": false, "pending_webhooks": 1, "data": object{"object": about}}) // plain maps always marshal
	i.events[kind] = e
	return e
}

// send tries once to deliver the event, and continues in the background when that fails. It returns whether the first
// try succeeded.
func (s *Server) send(ctx context.Context, e event) bool {
	err := s.deliver(ctx, e)
	if err == nil {
		return true
	}
	slog.Warn("a webhook was not taken; trying again", "event", e.id, "type", e.kind, "error", err)
	go func() {
		wait := 250 * time.Millisecond
		for range webhookTries {
			select {
			case <-s.stripe.ctx.Done():
				return
			case <-time.After(wait):
			}
			if err = s.deliver(s.stripe.ctx, e); err == nil {
				slog.Info("a webhook was taken at last", "event", e.id, "type", e.kind)
				return
			}
			wait = min(2*wait, 15*time.Second)
		}
		slog.Error("a webhook was given up", "event", e.id, "type", e.kind, "error", err)
	}()
	return false
}

// deliver posts the event with a new signature: one is valid for five minutes only.
func (s *Server) deliver(ctx context.Context, e event) error {
	ctx, cancel := context.WithTimeout(ctx, webhookLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.WebhookURL, bytes.NewReader(e.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("Stripe-Signature", Signature(e.body, s.config.WebhookSecret.Reveal(), s.now()))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)); response.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return nil
}

// Signature is the Stripe-Signature header of a webhook's body, sent at a time.
func Signature(body []byte, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}
