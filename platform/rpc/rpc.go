// Package rpc has what our gRPC servers and clients share: the callee's bearer secret, the correlation id, deadlines,
// and faults as statuses with a google.rpc.ErrorInfo.
package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"ticketremaster/platform/correlation"
	"ticketremaster/platform/fault"
	"ticketremaster/platform/fence"
	"ticketremaster/platform/metrics"
	"ticketremaster/platform/web"
)

// grpcCodes is the one table from a fault's kind to a gRPC code. Gone and Conflict share codes with others, so the kind
// itself is sent in the ErrorInfo's metadata and read back from there.
var grpcCodes = map[fault.Kind]codes.Code{
	fault.Internal:        codes.Internal,
	fault.Invalid:         codes.InvalidArgument,
	fault.Unauthenticated: codes.Unauthenticated,
	fault.PaymentRequired: codes.FailedPrecondition,
	fault.Forbidden:       codes.PermissionDenied,
	fault.NotFound:        codes.NotFound,
	fault.Conflict:        codes.Aborted,
	fault.Gone:            codes.FailedPrecondition,
	fault.TooLarge:        codes.InvalidArgument,
	fault.ProofRequired:   codes.FailedPrecondition,
	fault.TooMany:         codes.ResourceExhausted,
	fault.Unavailable:     codes.Unavailable,
}

const (
	domain     = "ticketremaster"
	kindKey    = "kind"
	messageKey = "message" // after retries the status's own message describes the retries; people read ours
	maxMessage = 64 << 20  // bytes: the seats of a hall of 100,000
	// margin is subtracted from a deadline that is passed on, so that the callee can still answer.
	margin = 10 * time.Millisecond
	// maxAge is how long a connection is used, give or take a tenth: until then a new replica may be without calls.
	maxAge = time.Minute
	// stopLimit bounds how long calls in flight may take once a server is to end.
	stopLimit = 10 * time.Second
)

// serviceConfig has calls take turns over all addresses of a service, and try another one when one does not answer.
const serviceConfig = `{"loadBalancingConfig":[{"round_robin":{}}],"methodConfig":[{"name":[{}],"retryPolicy":{
	"maxAttempts":3,"initialBackoff":"0.02s","maxBackoff":"0.2s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

// toStatus renders a fault; only its code, message and details leave the process.
func toStatus(err error) error {
	e := fault.From(err)
	info := &errdetails.ErrorInfo{Reason: e.Code, Domain: domain, Metadata: map[string]string{kindKey: fmt.Sprint(int(e.Kind)), messageKey: e.Message}}
	for k, v := range e.Details {
		info.Metadata[k] = v
	}
	s, detailErr := status.New(grpcCodes[e.Kind], e.Message).WithDetails(info)
	if detailErr != nil {
		return status.Error(grpcCodes[e.Kind], e.Message)
	}
	return s.Err()
}

// fromStatus reads a fault back. What the callee's own rules did not decide is SERVICE_UNAVAILABLE of the dependency,
// its outcome unknown; what gRPC itself could not do on this side is Internal.
func fromStatus(dependency string, err error) error {
	s := status.Convert(err)
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.Domain != domain {
			continue
		}
		e := fault.New(fault.Internal, info.Reason, "%s", s.Message())
		for k, v := range info.Metadata {
			switch k {
			case kindKey:
				_, _ = fmt.Sscan(v, (*int)(&e.Kind))
			case messageKey:
				e.Message = v
			default:
				e = e.With(k, v)
			}
		}
		if !fault.Answered(e.Code) {
			return fault.Unreachable(dependency, e)
		}
		return e
	}
	if s.Code() == codes.Internal && len(s.Details()) == 0 {
		return fmt.Errorf("calling %s: %w", dependency, err)
	}
	return fault.Unreachable(dependency, err)
}

// Server is a gRPC server with gRPC's standard health service.
type Server struct {
	*grpc.Server
	health *healthServer
}

// NewServer makes a gRPC server that accepts only callers with one of the secrets (the current one and, while it is
// being changed, the previous one). Health checks need none; the service is SERVING while ready returns nil.
func NewServer(secrets []string, ready func(context.Context) error, options ...grpc.ServerOption) *Server {
	s := &Server{health: &healthServer{health.NewServer(), ready}}
	s.Server = grpc.NewServer(append([]grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			return serve(ctx, secrets, req, info, handle)
		}),
		grpc.MaxRecvMsgSize(1 << 20),
		grpc.MaxSendMsgSize(maxMessage),
		// A client looks the service's name up again when a connection ends: so it finds a replica that has come. What
		// is under way on the connection is finished.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: maxAge, MaxConnectionAgeGrace: 10 * time.Second}),
		// Clients ping every 20 s (Dial); the default would answer that with GOAWAY.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}, options...)...)
	healthv1.RegisterHealthServer(s.Server, s.health)
	return s
}

// Serve answers on l until ctx ends. Then it drains: for pause it goes on answering but is NOT_SERVING; after that
// clients are told to go elsewhere, and calls in flight may finish for up to ten seconds.
func (s *Server) Serve(ctx context.Context, l net.Listener, pause time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.health.Shutdown()
	select {
	case err := <-failed:
		return err
	case <-time.After(pause):
	}
	hard := time.AfterFunc(stopLimit, s.Stop)
	defer hard.Stop()
	s.GracefulStop()
	return nil
}

// healthServer is gRPC's standard health service, whose check asks whether the service is ready.
type healthServer struct {
	*health.Server
	ready func(context.Context) error
}

func (h *healthServer) Check(ctx context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := h.ready(ctx); err != nil {
		return &healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_NOT_SERVING}, nil
	}
	return h.Server.Check(ctx, r)
}

func serve(ctx context.Context, secrets []string, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (res any, err error) {
	start := time.Now()
	md, _ := metadata.FromIncomingContext(ctx)
	ctx = correlation.WithJoined(ctx, first(md, strings.ToLower(correlation.Header)))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		if err != nil {
			if fault.Unknown(err) {
				slog.ErrorContext(ctx, "rpc failed", "method", info.FullMethod, "error", err)
			}
			err = toStatus(err)
		}
		count(ctx, info.FullMethod, status.Code(err), time.Since(start))
	}()
	given, _ := strings.CutPrefix(first(md, "authorization"), "Bearer ")
	if !web.OneOf(given, secrets) && !strings.HasPrefix(info.FullMethod, "/grpc.health.v1.") {
		return nil, fault.New(fault.Unauthenticated, fault.CodeUnauthorized, "This service is for services")
	}
	if ctx, err = fence.Receive(ctx, first(md, strings.ToLower(fence.Header))); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func first(md metadata.MD, key string) string {
	if v := md.Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Dial connects to a service by its plain name. addr is host:port, or several with commas between; calls take turns
// over all addresses that these names have, and over the remaining ones when one goes. Calls carry the service's
// secret, the correlation id and the fencing token, and have a deadline of two seconds unless the context has a sooner
// one; one that never left this machine is tried again (gRPC's own transparent retry). Errors are faults.
func Dial(name, addr, secret string) (*grpc.ClientConn, error) {
	target := grpc.WithResolvers() // gRPC's own: DNS
	if list := strings.Split(addr, ","); len(list) > 1 {
		static := manual.NewBuilderWithScheme("replicas")
		var endpoints []resolver.Endpoint
		for _, a := range list {
			endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: strings.TrimSpace(a)}}})
		}
		static.InitialState(resolver.State{Endpoints: endpoints})
		addr, target = "replicas:///"+name, grpc.WithResolvers(static)
	}
	return grpc.NewClient(addr,
		target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			limit := 2 * time.Second
			if deadline, ok := ctx.Deadline(); ok {
				limit = min(limit, time.Until(deadline)-margin)
			}
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret, strings.ToLower(correlation.Header), correlation.ID(ctx))
			if t, fenced := fence.From(ctx); fenced {
				ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(fence.Header), t.String())
			}
			start := time.Now()
			err := invoke(ctx, method, req, reply, cc, opts...)
			if err != nil {
				err = fromStatus(name, err)
			}
			metrics.Called(ctx, name, time.Since(start), err)
			return err
		}),
	)
}
