package grpcapi_test

import (
	"context"
	"testing"

	"ticketremaster/inventory-service/grpcapi"
	"ticketremaster/platform/metrics/metricstest"
	"ticketremaster/platform/web"
)

func TestSeriesAreBounded(t *testing.T) {
	methods := 0
	for _, service := range grpcapi.New(nil, "secret").GetServiceInfo() {
		methods += len(service.Methods)
	}
	metricstest.Bounded(t, web.NewRouter(func(context.Context) error { return nil }), methods)
}
