// Package client is a client of TicketRemaster: it does what a person with a phone and a card would do. The demo, the
// end-to-end tests, the bench and ticketctl are its users.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ticketremaster/platform/money"
)

// App talks to one gateway, and to the sandbox that shows what phones got and pays top-ups.
type App struct {
	Gateway, Sandbox string // without a slash at the end
	HTTP             *http.Client
	APIKey           string // sent where the gateway demands one
	// Seen, if set, sees every answer of the gateway.
	Seen func(Call, Answer)
}

// Call is one request to the gateway.
type Call struct {
	Method, Path string
	Token        string // access token
	Header       http.Header
	Body         any // sent as JSON; []byte as it is
}

// Answer is an answer with its envelope decoded.
type Answer struct {
	Status     int
	Header     http.Header
	Raw        []byte
	Success    bool              `json:"success"`
	Data       json.RawMessage   `json:"data"`
	Code       string            `json:"error_code"`
	Message    string            `json:"message"`
	Errors     map[string]string `json:"errors"`
	Pagination struct {
		Page, PerPage, Total, TotalPages int
	} `json:"-"`
	Took time.Duration
}

// Into decodes the answer's data.
func (a Answer) Into(v any) error { return json.Unmarshal(a.Data, v) }

// Text returns a string field of data, "" if it is none.
func (a Answer) Text(field string) string {
	var m map[string]any
	_ = json.Unmarshal(a.Data, &m)
	s, _ := m[field].(string)
	return s
}

// Err returns nil if the answer has that status, else an error with the answer.
func (a Answer) Err(want int) error {
	if a.Status == want {
		return nil
	}
	return fmt.Errorf("status %d %s (%s), want %d", a.Status, a.Code, a.Message, want)
}

// maxAnswer bounds what is read of an answer, in bytes: the seat map of a large hall.
const maxAnswer = 64 << 20

// Do sends one request. An error means that no answer came; whatever the gateway answers is an Answer.
func (c *App) Do(ctx context.Context, call Call) (Answer, error) {
	var body io.Reader
	switch b := call.Body.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.Gateway+call.Path, body)
	if err != nil {
		return Answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if call.Token != "" {
		req.Header.Set("Authorization", "Bearer "+call.Token)
	}
	if c.APIKey != "" {
		req.Header.Set("apikey", c.APIKey)
	}
	for name, values := range call.Header {
		req.Header[name] = values
	}
	start := time.Now()
	res, err := c.client().Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Raw: raw, Took: time.Since(start)}
	_ = json.Unmarshal(raw, &a) // a picture, or nothing
	if c.Seen != nil {
		c.Seen(call, a)
	}
	return a, nil
}

func (c *App) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return http.DefaultClient
}

// OTP reads the newest code that a phone received. It waits up to ten seconds for one that was sent after since,
// because a code may arrive after the answer.
func (c *App) OTP(ctx context.Context, phone string, since time.Time) (string, error) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		var inbox []struct {
			OTP  string    `json:"otp_code"`
			Sent time.Time `json:"sent_at"`
		}
		if err := c.sandbox(ctx, http.MethodGet, "/inbox?phone="+url.QueryEscape(phone), nil, &inbox); err != nil {
			return "", err
		}
		if len(inbox) > 0 && !inbox[0].Sent.Before(since) {
			return inbox[0].OTP, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("%s got no code", phone)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Control sets the sandbox's outages, such as {"down":true}.
func (c *App) Control(ctx context.Context, setting map[string]any) error {
	return c.sandbox(ctx, http.MethodPost, "/control", setting, nil)
}

// sandbox calls the sandbox; its answers have no envelope.
func (c *App) sandbox(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Sandbox+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := c.client().Do(req)
	if err != nil {
		return fmt.Errorf("the sandbox at %s: %w", c.Sandbox, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("the sandbox answers %s %s with %d: %s", method, path, res.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// Person is a user who is logged in.
type Person struct {
	App             *App
	ID              string
	Email, Phone    string
	Password        string
	Access, Refresh string
}

// Register makes an account and verifies it with the code sent to the phone.
func (c *App) Register(ctx context.Context, email, phone, password string) (*Person, error) {
	since := time.Now()
	a, err := c.Do(ctx, Call{Method: http.MethodPost, Path: "/auth/register", Body: map[string]string{"email": email, "phone": phone, "password": password}})
	if err == nil {
		err = a.Err(http.StatusCreated)
	}
	if err != nil {
		return nil, fmt.Errorf("registering %s: %w", email, err)
	}
	p := &Person{App: c, ID: a.Text("user_id"), Email: strings.ToLower(email), Phone: phone, Password: password}
	code, err := c.OTP(ctx, phone, since)
	if err != nil {
		return nil, err
	}
	a, err = c.Do(ctx, Call{Method: http.MethodPost, Path: "/auth/verify-registration", Body: map[string]string{"user_id": p.ID, "otp_code": code}})
	if err == nil {
		err = a.Err(http.StatusOK)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying %s: %w", email, err)
	}
	p.Access, p.Refresh = a.Text("access_token"), a.Text("refresh_token")
	return p, nil
}

// LogIn logs an existing user in.
func (c *App) LogIn(ctx context.Context, email, password string) (*Person, error) {
	p := &Person{App: c, Email: strings.ToLower(email), Password: password}
	a, err := c.Do(ctx, Call{Method: http.MethodPost, Path: "/auth/login", Body: map[string]string{"email": email, "password": password}})
	if err == nil {
		err = a.Err(http.StatusOK)
	}
	if err != nil {
		return nil, fmt.Errorf("logging %s in: %w", email, err)
	}
	var in struct {
		User struct {
			ID    string `json:"user_id"`
			Phone string `json:"phone"`
		} `json:"user"`
	}
	p.Access, p.Refresh = a.Text("access_token"), a.Text("refresh_token")
	err = a.Into(&in)
	p.ID, p.Phone = in.User.ID, in.User.Phone
	return p, err
}

// Get reads as this person.
func (p *Person) Get(ctx context.Context, path string) (Answer, error) {
	return p.App.Do(ctx, Call{Method: http.MethodGet, Path: path, Token: p.Access})
}

// Post writes as this person.
func (p *Person) Post(ctx context.Context, path string, body any) (Answer, error) {
	return p.App.Do(ctx, Call{Method: http.MethodPost, Path: path, Token: p.Access, Body: body})
}

// Balance reads the person's credits.
func (p *Person) Balance(ctx context.Context) (money.Cents, error) {
	a, err := p.Get(ctx, "/credits/balance")
	if err == nil {
		err = a.Err(http.StatusOK)
	}
	var b struct {
		Credits money.Cents `json:"credit_balance"`
	}
	if err == nil {
		err = a.Into(&b)
	}
	return b.Credits, err
}

// TopUp buys credits: a payment is created, paid in the sandbox as with a card, and credited by Stripe's signed
// webhook. It returns the PaymentIntent's id.
func (p *Person) TopUp(ctx context.Context, amount money.Cents) (string, error) {
	before, err := p.Balance(ctx)
	if err != nil {
		return "", err
	}
	a, err := p.Post(ctx, "/credits/topup", map[string]any{"amount": amount})
	if err == nil {
		err = a.Err(http.StatusOK)
	}
	if err != nil {
		return "", fmt.Errorf("topping up: %w", err)
	}
	intent, _, _ := strings.Cut(a.Text("client_secret"), "_secret_")
	if err := p.App.sandbox(ctx, http.MethodPost, "/pay/"+intent, nil, nil); err != nil {
		return "", err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		now, err := p.Balance(ctx)
		if err != nil {
			return "", err
		}
		if now != before {
			return intent, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("the top-up of %s was paid, but not credited", amount)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stripe has the sandbox send what Stripe sends later: refund or chargeback of a payment.
func (c *App) Stripe(ctx context.Context, what, intent string) error {
	return c.sandbox(ctx, http.MethodPost, "/"+what+"/"+intent, nil, nil)
}
