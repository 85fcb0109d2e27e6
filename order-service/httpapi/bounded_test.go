package httpapi_test

import (
	"testing"

	"github.com/go-chi/chi/v5"

	"ticketremaster/order-service/httpapi"
	"ticketremaster/order-service/postgres"
	"ticketremaster/platform/metrics/metricstest"
)

func TestSeriesAreBounded(t *testing.T) {
	metricstest.Bounded(t, httpapi.New(postgres.Store{}, "secret").(chi.Routes), 0)
}
