package httpapi

import (
	"testing"

	"github.com/go-chi/chi/v5"

	"ticketremaster/platform/metrics/metricstest"
)

func TestSeriesAreBounded(t *testing.T) {
	metricstest.Bounded(t, (&Server{}).Handler().(chi.Routes), 0)
}
