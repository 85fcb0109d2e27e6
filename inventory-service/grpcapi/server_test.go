package grpcapi_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ticketremaster/platform/fault"
	"ticketremaster/platform/rpc"
	"ticketremaster/platform/testenv"
	inventoryv1 "ticketremaster/proto/inventory/v1"

	"ticketremaster/inventory-service/grpcapi"
	"ticketremaster/inventory-service/inventorytest"
)

func contextOf(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// call makes one call of any method with a request.
func call(ctx context.Context, client inventoryv1.InventoryClient, method string, request proto.Message) error {
	out := reflect.ValueOf(client).MethodByName(method).Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})
	err, _ := out[1].Interface().(error)
	return err
}

// requests returns a valid request of every method, made from the contract, so that new methods are covered too.
func requests(t *testing.T) map[string]proto.Message {
	t.Helper()
	all := map[string]proto.Message{}
	methods := inventoryv1.File_inventory_v1_inventory_proto.Services().Get(0).Methods()
	client := reflect.TypeFor[inventoryv1.InventoryClient]()
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		method, ok := client.MethodByName(name)
		if !ok {
			t.Fatalf("no client method %s", name)
		}
		m := reflect.New(method.Type.In(1).Elem()).Interface().(proto.Message)
		fill(m.ProtoReflect())
		all[name] = m
	}
	if len(all) < 19 {
		t.Fatalf("only %d methods found", len(all))
	}
	return all
}

// fill sets every id, and what else a request needs to be valid.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch name := string(f.Name()); {
		case isID(f) && f.IsList():
			m.Mutable(f).List().Append(protoreflect.ValueOfString(newID()))
		case isID(f):
			m.Set(f, protoreflect.ValueOfString(newID()))
		case name == "undoes":
			m.Set(f, protoreflect.ValueOfString(newID()))
		case name == "note" || name == "reason":
			m.Set(f, protoreflect.ValueOfString("as agreed"))
		case name == "scan":
			fill(m.Mutable(f).Message())
		case name == "tiers":
			m.Mutable(f).List().Append(protoreflect.ValueOfString("CAT1"))
		case name == "cause":
			m.Set(f, protoreflect.ValueOfString("TRANSFER"))
		case name == "result" && f.Kind() == protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(protoreflect.EnumNumber(inventoryv1.ScanResult_EXPIRED)))
		case name == "sha256":
			m.Set(f, protoreflect.ValueOfBytes(make([]byte, 32)))
		case name == "holders":
			fill(m.Mutable(f).List().AppendMutable().Message())
		case name == "hold_ttl_ms" || name == "within_ms" || name == "by_ms":
			m.Set(f, protoreflect.ValueOfInt64(60_000))
		case name == "tier":
			m.Set(f, protoreflect.ValueOfString("CAT1"))
		case name == "total_seats" || name == "max_holds" || name == "page" || name == "per_page" || name == "rows" || name == "seats_per_row" || name == "limit":
			m.Set(f, protoreflect.ValueOfInt32(2))
		}
	}
}

func isID(f protoreflect.FieldDescriptor) bool {
	name := string(f.Name())
	return f.Kind() == protoreflect.StringKind && !strings.HasPrefix(name, "hall_") && (strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_ids"))
}

// Every id of every request: malformed it is INVALID_UUID and named; missing, VALIDATION_ERROR, where it must be there.
func TestMalformedIDs(t *testing.T) {
	s := inventorytest.Start(t)
	optional := map[string]bool{"event_id": true, "presented_seat_id": true, "seat_id": true, "person_id": true} // of a scan
	tried := 0
	for method, valid := range requests(t) {
		var walk func(path string, at func(proto.Message) protoreflect.Message)
		walk = func(path string, at func(proto.Message) protoreflect.Message) {
			fields := at(valid).Descriptor().Fields()
			for i := range fields.Len() {
				f := fields.Get(i)
				if f.Kind() == protoreflect.MessageKind && f.Name() == "scan" {
					walk("scan.", func(m proto.Message) protoreflect.Message { return m.ProtoReflect().Mutable(f).Message() })
				}
				if !isID(f) {
					continue
				}
				for _, bad := range []string{"A-1", "", "00000000-0000-0000-0000-000000000000", strings.ReplaceAll(newID(), "-", ""), strings.Repeat("x", 5_000)} {
					if bad == "" && (f.IsList() || (path != "" || f.Name() == "person_id") && optional[string(f.Name())]) {
						continue
					}
					request := proto.Clone(valid)
					m := at(request)
					if f.IsList() {
						m.Mutable(f).List().Append(protoreflect.ValueOfString(bad))
					} else {
						m.Set(f, protoreflect.ValueOfString(bad))
					}
					want := fault.CodeInvalidUUID
					if bad == "" {
						want = fault.CodeValidation
					}
					err := call(t.Context(), s, method, request)
					if fault.Code(err) != want || !strings.Contains(fault.From(err).Message, string(f.Name())) {
						t.Errorf("%s with %s%s %.10q: %v, want %s that names it", method, path, f.Name(), bad, err, want)
					}
					tried++
				}
			}
		}
		walk("", func(m proto.Message) protoreflect.Message { return m.ProtoReflect() })
	}
	if tried < 150 {
		t.Fatalf("only %d tried", tried)
	}
}

func TestLimitsOfRequests(t *testing.T) {
	s := inventorytest.Start(t)
	valid := requests(t)
	for name, request := range map[string]proto.Message{
		"no seats":         change(valid["CreateSeats"], "total_seats", int32(0)),
		"too many seats":   change(valid["CreateSeats"], "total_seats", int32(100_001)),
		"negative row":     change(valid["CreateSeats"], "seats_per_row", int32(-1)),
		"hold too short":   change(valid["ReserveSeat"], "hold_ttl_ms", int64(999)),
		"hold too long":    change(valid["ReserveSeat"], "hold_ttl_ms", int64(3_600_001)),
		"hold overflowing": change(valid["ReserveSeat"], "hold_ttl_ms", int64(1<<62)),
		"no holds":         change(valid["ReserveSeat"], "max_holds", int32(0)),
		"same tier twice":  &inventoryv1.CreateSeatsRequest{EventId: newID(), TotalSeats: 5, Tiers: []string{"A", "A"}},
		"no tiers":         &inventoryv1.CreateSeatsRequest{EventId: newID(), TotalSeats: 5},
		"no rows":          change(valid["AddRows"], "rows", int32(0)),
		"too many rows":    change(valid["AddRows"], "rows", int32(100_001)),
		"rows without end": change(valid["AddRows"], "seats_per_row", int32(1_001)),
		"rows of nothing":  change(valid["AddRows"], "tier", ""),
		"no limit":         change(valid["VoidTickets"], "limit", int32(0)),
		"over the limit":   change(valid["VoidTickets"], "limit", int32(1_001)),
		"nothing to block": &inventoryv1.BlockSeatsRequest{EventId: newID(), Blocked: true},
		"a refund missing": &inventoryv1.SettleRefundsRequest{SeatIds: []string{newID()}},
		"tiers over seats": &inventoryv1.CreateSeatsRequest{EventId: newID(), TotalSeats: 1, Tiers: []string{"A", "B"}},
	} {
		t.Run(name, func(t *testing.T) {
			method := strings.TrimSuffix(string(request.ProtoReflect().Descriptor().Name()), "Request")
			wantCode(t, call(t.Context(), s, method, request), fault.CodeValidation)
		})
	}
}

func change(m proto.Message, field string, value any) proto.Message {
	m = proto.Clone(m)
	r := m.ProtoReflect()
	r.Set(r.Descriptor().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOf(value))
	return m
}

func TestOnlyServicesMayCall(t *testing.T) {
	s := inventorytest.Start(t)
	for _, secret := range []string{"", "wrong", inventorytest.Secret + "x"} {
		conn, err := rpc.Dial("inventory", s.Addr, secret)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		client := inventoryv1.NewInventoryClient(conn)
		for method, request := range requests(t) {
			if err := call(t.Context(), client, method, request); !errors.Is(err, &fault.Error{Code: fault.CodeUnauthorized}) {
				t.Errorf("%s with the token %q: %v", method, secret, err)
			}
		}
	}
	// With the right secret no valid request is malformed or an internal error.
	for method, request := range requests(t) {
		err := call(t.Context(), s, method, request)
		if k := fault.From(err).Kind; err != nil && (k == fault.Invalid || k == fault.Internal || k == fault.Unauthenticated || k == fault.Unavailable) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func TestHealthFollowsTheDatabase(t *testing.T) {
	server := testenv.PrivatePostgres(t)
	store := inventorytest.Open(t, server.URL)
	addr, client := inventorytest.Serve(t, store)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	healthy := func() healthv1.HealthCheckResponse_ServingStatus {
		answer, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	if got := healthy(); got != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("health is %v", got)
	}
	server.Stop()
	if got := healthy(); got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Fatalf("health without a database is %v", got)
	}
	start := time.Now()
	_, err = client.GetSeatOwner(t.Context(), &inventoryv1.GetSeatOwnerRequest{SeatId: newID()})
	wantCode(t, err, fault.CodeUnavailable)
	if took := time.Since(start); took > 2500*time.Millisecond {
		t.Fatalf("it took %s to say that the database is down", took)
	}
	server.Start()
	inventorytest.Eventually(t, 20*time.Second, "healthy again", func() bool { return healthy() == healthv1.HealthCheckResponse_SERVING })
	_, err = client.GetSeatOwner(t.Context(), &inventoryv1.GetSeatOwnerRequest{SeatId: newID()})
	wantCode(t, err, "SEAT_NOT_FOUND")
}

// A call in flight is answered when the service is told to stop; a new one is refused.
func TestServeEndsCleanly(t *testing.T) {
	s := inventorytest.Start(t)
	seat := s.Hall(t, 1)[0].SeatId
	hold := s.Hold(t, seat, newID())
	tx, err := s.SQL.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `SELECT FROM seats WHERE seat_id = $1 FOR UPDATE`, seat); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- grpcapi.New(s.Store, inventorytest.Secret).Serve(ctx, l, 0) }()
	conn, err := rpc.Dial("inventory", l.Addr().String(), inventorytest.Secret)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer := make(chan error, 1)
	go func() {
		got, err := inventoryv1.NewInventoryClient(conn).ReleaseSeat(t.Context(), &inventoryv1.ReleaseSeatRequest{SeatId: seat, HoldId: hold})
		if err == nil && got.Outcome != inventoryv1.ReleaseOutcome_RELEASED {
			err = status.Error(codes.Internal, got.Outcome.String())
		}
		answer <- err
	}()
	inventorytest.Eventually(t, 5*time.Second, "the release waits for the lock", func() bool {
		var waiting bool
		err := s.SQL.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
		return err == nil && waiting
	})
	stop()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Fatalf("the call in flight was cut off: %v", err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
