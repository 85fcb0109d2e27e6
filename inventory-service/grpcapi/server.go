// Package grpcapi serves the contract of proto/inventory/v1: it reads requests, calls the store, and renders its
// answers.
package grpcapi

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"ticketremaster/platform/rpc"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/postgres"
)

// Limits of the server.
const (
	// callLimit bounds a call whose client set no deadline.
	callLimit  = 10 * time.Second
	maxStreams = 1_000 // calls in flight per connection
)

// Server implements the Inventory service on a store.
type Server struct {
	inventoryv1.UnimplementedInventoryServer
	store *postgres.Store
}

// New makes the gRPC server: Inventory for callers with one of the secrets, health for all.
func New(store *postgres.Store, secrets ...string) *rpc.Server {
	s := rpc.NewServer(secrets, store.Ping, grpc.MaxConcurrentStreams(maxStreams), grpc.ChainUnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			return handle(ctx, req)
		}))
	inventoryv1.RegisterInventoryServer(s, &Server{store: store})
	return s
}

// ids reads UUIDs from a request and keeps the first error.
type ids struct{ err error }

// need reads a required id.
func (r *ids) need(field, value string) uuid.UUID {
	if r.err != nil {
		return uuid.Nil
	}
	id, err := web.UUID(field, value)
	r.err = err
	return id
}

// may reads an optional id.
func (r *ids) may(field, value string) uuid.UUID {
	if value == "" {
		return uuid.Nil
	}
	return r.need(field, value)
}

// many reads a list of ids.
func (r *ids) many(field string, values []string) []uuid.UUID {
	all := make([]uuid.UUID, len(values))
	for i, v := range values {
		all[i] = r.need(field, v)
	}
	return all
}
