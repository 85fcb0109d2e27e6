package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	inventoryv1 "ticketremaster/proto/inventory/v1"
	"ticketremaster/stack/client"
)

// internalCall is one line of docs/internal-api.md.
type internalCall struct{ service, secret, method, path string }

var codeSpan = regexp.MustCompile("`(GET|POST|PATCH|DELETE) (/[^`]+)`")

// internalCalls reads the calls between services out of their page.
func internalCalls(t *testing.T) (all []internalCall) {
	t.Helper()
	text, err := os.ReadFile("../../docs/internal-api.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string][2]string{"User service": {"user-service", "USER_TOKEN"}, "Order service": {"order-service", "ORDER_TOKEN"}, "Event service": {"event-service", "EVENT_TOKEN"}}
	service := [2]string{}
	for line := range strings.Lines(string(text)) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			service = sections[heading]
		}
		cells := strings.Split(line, "|")
		if service[0] == "" || len(cells) < 3 {
			continue
		}
		for _, m := range codeSpan.FindAllStringSubmatch(cells[1], -1) {
			all = append(all, internalCall{service[0], service[1], m[1], m[2]})
		}
	}
	if len(all) < 40 {
		t.Fatalf("docs/internal-api.md has only %d calls", len(all))
	}
	return all
}

var anID = strings.NewReplacer("{id}", "0197a5c0-0000-7000-8000-000000000009")

func TestWhoMayCallWhatInternally(t *testing.T) {
	calls := internalCalls(t)
	_, tokens := logInAll(t)
	t.Run("through the gateway", func(t *testing.T) {
		b := &table{t: t}
		for _, c := range calls {
			path := anID.Replace(c.path)
			public := publicOperation(c.method, path)
			want := func(string) string { return "404" }
			switch public {
			case "":
			case "GET /events":
				want = anyone // the orchestrator's, of that name
			case "GET /events/{event_id}":
			default: // for people, whose token is asked for
				want = func(column string) string {
					if slices.Contains([]string{"customer", "other", "staff", "admin"}, column) {
						switch {
						case strings.HasSuffix(path, "/overdue"):
							return "400" // no id
						case strings.Contains(public, "{"):
							return "404"
						}
						return "may"
					}
					return "401"
				}
			}
			b.check(c.method+" "+c.path, want, func(column string) string {
				a, err := app.Do(t.Context(), client.Call{Method: c.method, Path: path, Token: bearer(t, tokens, column, c.secret)})
				if err != nil {
					return err.Error()
				}
				return fmt.Sprint(a.Status)
			})
		}
		b.print("internal calls, at the gateway")
	})
	if own == nil {
		return // from outside there is no other way in
	}
	t.Run("at the service", func(t *testing.T) {
		b := &table{t: t}
		for _, c := range calls {
			direct := &client.App{Gateway: "http://" + addr(t, c.service), HTTP: app.HTTP}
			b.check(c.method+" "+c.path, func(column string) string {
				if column == "service" {
					return "heard"
				}
				return "401"
			}, func(column string) string {
				a, err := direct.Do(t.Context(), client.Call{Method: c.method, Path: anID.Replace(c.path), Token: bearer(t, tokens, column, c.secret), Body: object{}})
				if err != nil {
					return err.Error()
				}
				if column == "service" && a.Status < 500 && a.Status != http.StatusUnauthorized && a.Code != "NOT_FOUND" { // an address that is there
					return "heard"
				}
				return fmt.Sprint(a.Status)
			})
		}
		b.print("internal calls, at the service")
	})
	t.Run("gRPC", func(t *testing.T) {
		conn, err := grpc.NewClient(addr(t, "inventory-service"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		b := &table{t: t}
		for _, method := range inventoryMethods() {
			b.check(method, func(column string) string {
				if column == "service" {
					return "may"
				}
				return "Unauthenticated"
			}, func(column string) string {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				if token := bearer(t, tokens, column, "INVENTORY_TOKEN"); token != "" {
					ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
				}
				err := conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}) // every field is empty
				if column == "service" && status.Code(err) == grpccodes.Unimplemented {
					return "Unavailable"
				}
				return status.Code(err).String()
			})
		}
		b.print("RPCs")
	})
}

// inventoryMethods are the full names of all RPCs.
func inventoryMethods() (all []string) {
	for _, m := range inventoryv1.Inventory_ServiceDesc.Methods {
		all = append(all, "/"+inventoryv1.Inventory_ServiceDesc.ServiceName+"/"+m.MethodName)
	}
	return all
}

// publicOperation is the described operation at that path, if any.
func publicOperation(method, path string) string {
	req, err := http.NewRequest(method, "http://gateway"+path, nil)
	if err != nil {
		return ""
	}
	route, _, err := described.router.FindRoute(req)
	if err != nil {
		return ""
	}
	return route.Method + " " + route.Path
}

// bearer is a column's token for a callee whose own secret has that name.
func bearer(t *testing.T, tokens callers, column, secret string) string {
	switch column {
	case "service":
		return secretOf(t, secret)
	case "foreign":
		return secretOf(t, map[bool]string{true: "ORDER_TOKEN", false: "EVENT_TOKEN"}[secret == "EVENT_TOKEN"])
	}
	return tokens[column]
}

func addr(t *testing.T, part string) string {
	t.Helper()
	a, err := own.Addr(part)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
