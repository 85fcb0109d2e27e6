package rpc_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
	"ticketremaster/platform/metrics/metricstest"
	"ticketremaster/platform/rpc"
)

// service answers one method over real gRPC, with the messages of the health check.
type service struct {
	err   error
	id    string
	calls atomic.Int64
	work  func() // nil: nothing
	token fence.Token
}

var token = fence.Token{Saga: uuid.New(), Epoch: 7}

const method = "/test.Service/Check"

var description = grpc.ServiceDesc{ServiceName: "test.Service", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
	MethodName: "Check",
	Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		in := &grpc_health_v1.HealthCheckRequest{}
		if err := decode(in); err != nil {
			return nil, err
		}
		return intercept(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: method}, func(ctx context.Context, _ any) (any, error) {
			s := srv.(*service)
			s.id = correlation.ID(ctx)
			s.calls.Add(1)
			if s.work != nil {
				s.work()
			}
			s.token, _ = fence.From(ctx)
			return &grpc_health_v1.HealthCheckResponse{}, s.err
		})
	},
}}}

func serve(t *testing.T, s *service) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, s, l)
	return l.Addr().String()
}

func serveOn(t *testing.T, s *service, l net.Listener) (stop func()) {
	t.Helper()
	server := rpc.NewServer([]string{"its secret", "its previous secret", ""}, func(context.Context) error { return nil })
	server.RegisterService(&description, s)
	go func() { _ = server.Server.Serve(l) }()
	t.Cleanup(server.Stop)
	return server.Stop
}

func call(t *testing.T, addr, secret string) error {
	t.Helper()
	conn, err := rpc.Dial("the service", addr, secret)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(fence.With(correlation.With(t.Context(), "an-id"), token), time.Second)
	defer cancel()
	return conn.Invoke(ctx, method, &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{}, grpc.WaitForReady(false))
}

func TestAFaultSurvivesTheWire(t *testing.T) {
	s := &service{}
	addr := serve(t, s)
	if err := call(t, addr, "its secret"); err != nil || s.id != "an-id" || s.token != token {
		t.Fatalf("%v, correlation id %q, fencing token %s", err, s.id, s.token)
	}
	for kind := fault.Internal; kind <= fault.Unavailable; kind++ {
		s.err = fault.New(kind, "SOME_CODE", "words for a person").With("status", "SOLD")
		got := fault.From(call(t, addr, "its secret"))
		if got.Kind != kind || got.Code != "SOME_CODE" || got.Message != "words for a person" || got.Details["status"] != "SOLD" {
			t.Errorf("kind %d came as %+v", kind, got)
		}
	}
	s.err = errors.New("a password, perhaps")
	if got := fault.From(call(t, addr, "its secret")); got.Code != fault.CodeInternal || got.Message == s.err.Error() {
		t.Errorf("an unclassified error came as %+v", got)
	}
}

func TestOnlyWhoKnowsTheSecretIsServed(t *testing.T) {
	addr := serve(t, &service{})
	for _, secret := range []string{"", "another", "its secre", "its secret "} {
		err := call(t, addr, secret)
		if !errors.Is(err, &fault.Error{Code: fault.CodeUnauthorized}) {
			t.Errorf("%q: %v", secret, err)
		}
		// It does not tell its caller the outcome of the call.
		if !fault.Unknown(err) || fault.Code(err) != fault.CodeUnavailable {
			t.Errorf("a secret that does not fit is taken as an answer: %v", err)
		}
	}
	for _, secret := range []string{"its secret", "its previous secret"} {
		if err := call(t, addr, secret); err != nil {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

// Both sides count a call: the server by method and code, the client by callee and what came of it.
func TestCallsAreCounted(t *testing.T) {
	s := &service{}
	addr := serve(t, s)
	counts := map[string]float64{}
	read := func(add map[string]float64) {
		t.Helper()
		for _, c := range []struct{ name, label string }{
			{"rpcs_total", "code=OK"}, {"rpcs_total", "code=Aborted"}, {"rpcs_total", "code=Unauthenticated"}, {"rpc_duration_seconds", "method=Check"},
			{"calls_total", "outcome=ok"}, {"calls_total", "outcome=refused"}, {"calls_total", "outcome=unavailable"}, {"call_duration_seconds", "callee=service"},
		} {
			counts[c.label] = metricstest.Value(t, c.name, c.label) - counts[c.label]
			if want, ok := add[c.label]; ok && counts[c.label] != want {
				t.Errorf("%s %s: %v more, not %v", c.name, c.label, counts[c.label], want)
			}
		}
	}
	read(nil)
	_ = call(t, addr, "its secret")
	s.err = fault.New(fault.Conflict, "SOME_CODE", "no")
	_ = call(t, addr, "its secret")
	_ = call(t, addr, "another")
	read(map[string]float64{"code=OK": 1, "code=Aborted": 1, "code=Unauthenticated": 1, "method=Check": 3,
		"outcome=ok": 1, "outcome=refused": 1, "outcome=unavailable": 1, "callee=service": 3})
}

func TestNoAnswerIsUnknown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := call(t, l.Addr().String(), "its secret"); !fault.Unknown(err) || fault.Code(err) != fault.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

// Two replicas share the calls; when one goes the other has them all, and when it is back they share again.
func TestCallsSpreadOverReplicas(t *testing.T) {
	var replicas [2]service
	var addresses []string
	var stop func()
	for i := range replicas {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		stop = serveOn(t, &replicas[i], l)
	}
	conn, err := rpc.Dial("the service", strings.Join(addresses, ","), "its secret")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := conn.Invoke(ctx, method, &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{}); err != nil {
			t.Errorf("a call while one of two is there: %v", err)
		}
	}
	shared := func() bool { // within a while: connections are made as they are needed
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			before := [2]int64{replicas[0].calls.Load(), replicas[1].calls.Load()}
			for range 10 {
				ask()
			}
			if replicas[0].calls.Load()-before[0] == 5 && replicas[1].calls.Load()-before[1] == 5 {
				return true
			}
		}
		return false
	}
	if !shared() {
		t.Fatalf("of two replicas one had %d calls, the other %d", replicas[0].calls.Load(), replicas[1].calls.Load())
	}
	stop()
	for range 50 {
		ask()
	}
	l, err := net.Listen("tcp", addresses[1])
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, &replicas[1], l)
	if !shared() {
		t.Error("the one that came back gets no share")
	}
}

// A request that could not be sent as a call is our own error, which a repeat does not correct.
func TestACallThatCannotBeSentIsInternal(t *testing.T) {
	err := call(t, serve(t, &service{}), "a secret with a line\nbreak")
	if got := fault.From(err); got.Kind != fault.Internal {
		t.Errorf("got %v", err)
	}
}

// An unknown method is not an answer to the call: the server is older or newer than its caller.
func TestAnUnknownMethodIsNoRefusal(t *testing.T) {
	conn, err := rpc.Dial("the service", serve(t, &service{}), "its secret")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Invoke(t.Context(), "/test.Service/Other", &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
	if fault.Code(err) != fault.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

// At its end a server first reports that it is not serving and continues; calls that begin then are completed.
func TestTheEndDrains(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	s := &service{work: func() { begun <- struct{}{}; <-finish }}
	server := rpc.NewServer([]string{"its secret"}, func(context.Context) error { return nil })
	server.RegisterService(&description, s)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	const pause = 300 * time.Millisecond
	go func() { ended <- server.Serve(ctx, l, pause) }()
	conn, err := rpc.Dial("the service", l.Addr().String(), "its secret")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		t.Helper()
		answer, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	ask := func() error {
		return conn.Invoke(t.Context(), method, &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
	}
	if got := health(); got != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatal(got)
	}
	stop()
	signalled := time.Now()
	for health() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		if time.Since(signalled) > pause/2 {
			t.Fatal("it says that it is serving")
		}
	}
	answered := make(chan error, 1)
	go func() { answered <- ask() }() // it still takes calls
	<-begun
	select {
	case err := <-ended:
		t.Fatalf("it ended (%v) before the call did", err)
	case <-time.After(pause):
	}
	finish <- struct{}{}
	if err := <-answered; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
