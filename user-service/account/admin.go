package account

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"ticketremaster/platform/token"
	user "ticketremaster/user-service"
)

// CreateAdmin makes the first administrator. An account that exists with that address becomes a verified administrator
// and keeps its password and phone; made says whether it is a new one.
func (s *Service) CreateAdmin(ctx context.Context, email, phone, password string) (id uuid.UUID, made bool, err error) {
	c, err := s.Store.Credentials(ctx, uuid.Nil, email)
	if err == nil {
		if err = s.Store.MarkVerified(ctx, c.ID, s.OneAccountPerPhone); err != nil {
			return c.ID, false, err
		}
		role := token.Admin
		_, err = s.SetStanding(ctx, c.ID, &role, nil)
		return c.ID, false, err
	}
	if !errors.Is(err, user.ErrNotFound) {
		return id, false, err
	}
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return id, false, err
	}
	if id, err = uuid.NewV7(); err != nil {
		return id, false, err
	}
	if err = s.Store.Create(ctx, user.User{ID: id, Email: email, Phone: phone, Role: token.Admin}, hash); err != nil {
		return id, false, err
	}
	return id, true, s.Store.MarkVerified(ctx, id, s.OneAccountPerPhone)
}
