package ticketctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketremaster/stack/audit"
)

// page is a list of the admin API.
type page[T any] struct {
	Data       []T `json:"data"`
	Pagination struct {
		Total int `json:"total"`
	} `json:"pagination"`
}

// list reads a page; number is from 1.
func list[T any](ctx context.Context, t *tool, path string, query url.Values, number, size int) (p page[T], err error) {
	query.Set("page", fmt.Sprint(number))
	query.Set("per_page", fmt.Sprint(size))
	a, err := t.ask(ctx, http.MethodGet, path+"?"+query.Encode(), nil)
	if err == nil {
		err = json.Unmarshal(a.Raw, &p)
	}
	return p, err
}

// status tells what needs a person.
func (t *tool) status() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show whether the system is ready, and what waits for a person", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		_, notReady := t.ask(c.Context(), http.MethodGet, "/health", nil)
		total := func(path string, query url.Values) (int, error) {
			p, err := list[json.RawMessage](c.Context(), t, path, query, 1, 1)
			return p.Pagination.Total, err
		}
		sagas, err1 := total("/admin/sagas", url.Values{"status": {"PARKED"}})
		messages, err2 := total("/admin/messages", url.Values{})
		payments, err3 := total("/admin/payments", url.Values{"state": {"anomaly"}})
		if err := errors.Join(notReady, err1, err2, err3); err != nil {
			return err
		}
		return t.show(map[string]any{"ready": true, "parked_sagas": sagas, "parked_messages": messages, "payment_anomalies": payments}, func(row func(...any)) {
			row("ready", "yes")
			row("parked sagas", sagas)
			row("parked messages", messages)
			row("payments that fit nothing", payments)
		})
	}}
}

type parkedSaga struct {
	ID         string    `json:"saga_id"`
	Kind       string    `json:"kind"`
	Subject    string    `json:"subject"`
	ParkedFrom *string   `json:"parked_from"`
	Code       string    `json:"error_code"`
	ParkedAt   time.Time `json:"parked_at"`
}

func (t *tool) sagas() *cobra.Command {
	c := &cobra.Command{Use: "sagas", Short: "List the sagas that wait for a person", Args: cobra.NoArgs}
	number := c.Flags().Int("page", 1, "of 20")
	c.RunE = func(c *cobra.Command, _ []string) error {
		raw, err := list[json.RawMessage](c.Context(), t, "/admin/sagas", url.Values{"status": {"PARKED"}}, *number, 20)
		if err != nil {
			return err
		}
		return t.show(raw.Data, func(row func(...any)) {
			row("SAGA", "KIND", "SUBJECT", "DIRECTION", "WHY", "PARKED")
			for _, s := range decoded[parkedSaga](raw.Data) {
				direction := "unknown"
				if s.ParkedFrom != nil {
					direction = *s.ParkedFrom
				}
				row(s.ID, s.Kind, s.Subject, direction, s.Code, s.ParkedAt.Format(time.RFC3339))
			}
		})
	}
	return c
}

func decoded[T any](raw []json.RawMessage) []T {
	all := make([]T, len(raw))
	for i := range raw {
		_ = json.Unmarshal(raw[i], &all[i]) // a field that is missing is shown as such
	}
	return all
}

func (t *tool) saga() *cobra.Command {
	c := &cobra.Command{Use: "saga", Short: "Have a parked saga go on, or turn back"}
	change := func(use, short, question string) *cobra.Command {
		c := &cobra.Command{Use: use + " SAGA --reason TEXT", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: t.complete("/admin/sagas", "saga_id", "kind", url.Values{"status": {"PARKED"}})}
		why := reason(c)
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := t.confirm(question, args[0]); err != nil {
				return err
			}
			a, err := t.ask(c.Context(), http.MethodPost, "/admin/sagas/"+url.PathEscape(args[0])+"/"+use, map[string]string{"reason": *why})
			if err != nil {
				return err
			}
			return t.show(a.Data, func(row func(...any)) { row("saga", args[0], "goes on within a second") })
		}
		return c
	}
	c.AddCommand(change("resume", "Have a parked saga go on in the direction that it had", "Have saga %s go on?"),
		change("compensate", "Have a parked saga undo what it did", "Have saga %s undo what it did?"))
	return c
}

type parkedMessage struct {
	ID       string    `json:"message_id"`
	Queue    string    `json:"queue"`
	Because  string    `json:"because"`
	Body     string    `json:"body"`
	ParkedAt time.Time `json:"parked_at"`
}

// mostMessages is how many messages one request of the admin API decides about.
const mostMessages = 100

func (t *tool) messages() *cobra.Command {
	c := &cobra.Command{Use: "messages", Short: "List the broker's messages that failed again and again", Args: cobra.NoArgs}
	status := c.Flags().String("status", "PARKED", "PARKED, REPLAYED or DROPPED")
	number := c.Flags().Int("page", 1, "of 20")
	c.RunE = func(c *cobra.Command, _ []string) error {
		raw, err := list[json.RawMessage](c.Context(), t, "/admin/messages", url.Values{"status": {*status}}, *number, 20)
		if err != nil {
			return err
		}
		return t.show(raw.Data, func(row func(...any)) {
			row("MESSAGE", "QUEUE", "PARKED", "WHY", "BODY")
			for _, m := range decoded[parkedMessage](raw.Data) {
				row(m.ID, m.Queue, m.ParkedAt.Format(time.RFC3339), m.Because, m.Body)
			}
		})
	}
	decide := func(use, short, question string) *cobra.Command {
		c := &cobra.Command{Use: use + " MESSAGE... --reason TEXT", Short: short, ValidArgsFunction: t.complete("/admin/messages", "message_id", "queue", url.Values{})}
		why := reason(c)
		all := c.Flags().Bool("all", false, "all that are parked now")
		c.RunE = func(c *cobra.Command, ids []string) error {
			if (len(ids) > 0) == *all {
				return errors.New("name the messages, or give --all")
			}
			if *all {
				var err error
				if ids, err = t.parkedIDs(c.Context()); err != nil {
					return err
				}
			}
			if err := t.confirm(question, len(ids)); err != nil {
				return err
			}
			for part := range slices.Chunk(ids, mostMessages) {
				if _, err := t.ask(c.Context(), http.MethodPost, "/admin/messages/"+use, map[string]any{"message_ids": part, "reason": *why}); err != nil {
					return err
				}
			}
			return t.show(map[string]any{"message_ids": append([]string{}, ids...)}, func(row func(...any)) { row(len(ids), "messages: done") })
		}
		return c
	}
	c.AddCommand(decide("replay", "Put parked messages back into their queues", "Put %d messages back into their queues?"),
		decide("drop", "Decide that parked messages are of no use", "Decide that %d messages are of no use?"))
	return c
}

// parkedIDs reads the ids of all messages that are parked.
func (t *tool) parkedIDs(ctx context.Context) (ids []string, err error) {
	for number := 1; ; number++ {
		p, err := list[parkedMessage](ctx, t, "/admin/messages", url.Values{}, number, 100)
		if err != nil {
			return nil, err
		}
		for _, m := range p.Data {
			ids = append(ids, m.ID)
		}
		if len(p.Data) < 100 {
			return ids, nil
		}
	}
}

func (t *tool) order() *cobra.Command {
	c := &cobra.Command{Use: "order", Short: "Look at orders"}
	c.AddCommand(&cobra.Command{Use: "show ORDER|EMAIL", Short: "Show an order, or the orders of a person, with payments and refunds", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		by := "order_id"
		if strings.Contains(args[0], "@") {
			by = "email"
		}
		raw, err := list[json.RawMessage](c.Context(), t, "/admin/orders", url.Values{by: {args[0]}}, 1, 100)
		if err != nil {
			return err
		}
		if len(raw.Data) == 0 {
			return errors.New("there is no such order")
		}
		return t.show(raw.Data, func(row func(...any)) {
			for i, o := range decoded[map[string]any](raw.Data) {
				if i > 0 {
					row()
				}
				for _, name := range slices.Sorted(maps.Keys(o)) {
					if text, ok := o[name].(string); ok {
						row(name, text)
					} else if value, _ := json.Marshal(o[name]); string(value) != "null" {
						row(name, string(value))
					}
				}
			}
		})
	}})
	return c
}

// audit reads the databases themselves: their addresses are in the environment, as for the command audit.
func (t *tool) audit() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Count offenders against every invariant", Args: cobra.NoArgs,
		Long: "Count offenders against every invariant over the five databases, whose addresses are SEATS_DB_URL, USERS_DB_URL, ORDERS_DB_URL, EVENTS_DB_URL and SAGAS_DB_URL. It fails on any."}
	since := c.Flags().Duration("since", 0, "look only at what changed in this time")
	progress := c.Flags().String("progress", "", "a file; an audit that is interrupted goes on from what it says")
	c.MarkFlagsMutuallyExclusive("since", "progress")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dsns := map[string]string{}
		for _, name := range audit.Databases {
			variable := strings.ToUpper(name) + "_URL"
			if dsns[name] = t.Getenv(variable); dsns[name] == "" {
				return fmt.Errorf("%s is not set", variable)
			}
		}
		options := audit.Options{Progress: *progress, Waiting: audit.Tell(t.Err)}
		if *since > 0 {
			options.Since = time.Now().Add(-*since)
		}
		report, err := audit.Audit(c.Context(), dsns, options)
		if err != nil {
			return err
		}
		if t.format == "json" {
			err = t.show(report, nil)
		} else {
			report.Print(t.Out)
		}
		if n := report.Offenders(); err == nil && n > 0 {
			err = fmt.Errorf("%d offenders", n)
		}
		return err
	}
	return c
}

// complete offers ids of a list to the shell, each with what it is.
func (t *tool) complete(path, id, about string, query url.Values) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		p, err := list[map[string]any](c.Context(), t, path, query, 1, 100)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
		}
		var found []cobra.Completion
		for _, x := range p.Data {
			found = append(found, cobra.CompletionWithDesc(printable(fmt.Sprint(x[id])), printable(fmt.Sprint(x[about]))))
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
