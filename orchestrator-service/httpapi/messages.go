package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/messages"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// listMessages serves GET /admin/messages: what the broker's consumers parked.
func (s *Server) listMessages(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	status := messages.Parked
	if given := r.URL.Query().Get("status"); given != "" {
		status = messages.Status(given)
	}
	if !slices.Contains([]messages.Status{messages.Parked, messages.Replayed, messages.Dropped}, status) {
		return fault.Field("status", "must be %s, %s or %s", messages.Parked, messages.Replayed, messages.Dropped)
	}
	found, total, err := s.Messages.List(r.Context(), status, page.Size, page.Offset())
	if err != nil {
		return err
	}
	list := make([]map[string]any, len(found))
	for i, m := range found {
		list[i] = map[string]any{
			"message_id": m.ID, "queue": m.Queue, "because": m.Because, "body": strings.ToValidUTF8(string(m.Body), "�"),
			"correlation_id": m.CorrelationID, "parked_at": rfc3339(m.ParkedAt), "status": m.Status,
			"decided_by": m.DecidedBy, "reason": nullable(m.Reason), "decided_at": rfc3339(m.DecidedAt),
		}
	}
	return web.List(w, list, page, total)
}

// decideMessages serves what is done with parked messages: Replay and Drop of messages.Flows. The reason is kept.
func (s *Server) decideMessages(to messages.Status, decide func(ctx context.Context, ids []uuid.UUID, by uuid.UUID, reason string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			IDs    []string `json:"message_ids"`
			Reason string   `json:"reason"`
		}
		if err := web.Decode(r, &in); err != nil {
			return err
		}
		if len(in.IDs) == 0 || len(in.IDs) > messages.Most {
			return fault.Field("message_ids", "must have from 1 to %d ids", messages.Most)
		}
		ids := make([]uuid.UUID, len(in.IDs))
		for i, text := range in.IDs {
			id, err := web.UUID("message_ids", text)
			if err != nil {
				return err
			}
			if slices.Contains(ids[:i], id) {
				return fault.Field("message_ids", "must not have an id twice")
			}
			ids[i] = id
		}
		reason, err := web.Text("reason", in.Reason, maxReason)
		if err != nil {
			return err
		}
		if err := decide(r.Context(), ids, caller(r).UserID, reason); err != nil {
			return err
		}
		return web.OK(w, map[string]any{"message_ids": ids, "status": to})
	}
}
