package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"ticketremaster/orchestrator-service/saga"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/web"
)

// maxReason is the longest reason that an administrator gives, in characters.
const maxReason = 500

// listSagas serves GET /admin/sagas: those that wait for a person.
func (s *Server) listSagas(w http.ResponseWriter, r *http.Request) error {
	page, err := web.ReadPage(r)
	if err != nil {
		return err
	}
	if status := r.URL.Query().Get("status"); status != string(saga.Parked) {
		return fault.Field("status", "must be %s", saga.Parked)
	}
	records, total, err := s.Sagas.Parked(r.Context(), page.Size, page.Offset())
	if err != nil {
		return err
	}
	list := make([]map[string]any, len(records))
	for i, p := range records {
		list[i] = map[string]any{
			"saga_id": p.ID, "kind": p.Kind, "subject": p.Subject, "status": p.Status, "parked_from": nullable(string(p.ParkedFrom)),
			"error_code": fault.Code(p.Refusal), "trail": p.Trail, "correlation_id": p.CorrelationID,
			"created_at": rfc3339(p.CreatedAt), "parked_at": rfc3339(p.UpdatedAt),
		}
	}
	return web.List(w, list, page, total)
}

// reopenSaga serves what has a parked saga go on: saga.Engine's Resume and Compensate. The reason is kept in its trail.
func (s *Server) reopenSaga(reopen func(ctx context.Context, id uuid.UUID, by, reason string) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := web.PathUUID(r, "saga_id")
		if err != nil {
			return err
		}
		reason, err := web.ReadReason(r, maxReason)
		if err != nil {
			return err
		}
		if err := reopen(r.Context(), id, caller(r).UserID.String(), reason); err != nil {
			return err
		}
		return web.Answer(w, http.StatusAccepted, map[string]any{"saga_id": id, "status": "PENDING"})
	}
}
