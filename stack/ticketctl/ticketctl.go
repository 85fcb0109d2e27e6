// Package ticketctl is the operator's terminal. It speaks to the gateway's admin API as an administrator; the audit
// reads the databases. Nothing is changed unless its user says yes, and gives a reason where one is kept.
package ticketctl

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// Console is where the tool runs.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	// Terminal says that a person is at In, who can be asked.
	Terminal bool
	// Hidden reads a line of theirs that is not shown.
	Hidden func() (string, error)
}

type tool struct {
	Console
	lines   *bufio.Reader // of In
	gateway string
	plain   bool
	format  string
	yes     bool
}

// New makes the command. Its Execute returns what to tell the user; nothing is printed about it before.
func New(c Console) *cobra.Command {
	t := &tool{Console: c, lines: bufio.NewReader(c.In)}
	root := &cobra.Command{
		Use: "ticketctl", Short: "Operate TicketRemaster",
		Long: `Operate TicketRemaster, as an administrator.

TICKETCTL_GATEWAY   the gateway's address (http://localhost:8000)
TICKETCTL_TOKEN     an access token, instead of "ticketctl login"
TICKETCTL_SESSION   where login keeps the session (ticketctl/session.json among the user's settings)
TICKETCTL_API_KEY   the gateway's API key, where it asks for one`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if t.format != "text" && t.format != "json" {
				return errors.New("-o must be text or json")
			}
			return nil
		},
	}
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	flags := root.PersistentFlags()
	flags.StringVar(&t.gateway, "gateway", "", "the gateway's address")
	flags.BoolVar(&t.plain, "plain-http", false, "send the token by http to another machine")
	flags.StringVarP(&t.format, "output", "o", "text", "text or json")
	flags.BoolVar(&t.yes, "yes", false, "do not ask before something is changed")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(t.login(), t.logout(), t.status(), t.sagas(), t.saga(), t.messages(), t.order(), t.audit())
	return root
}

// confirm asks before something is changed.
func (t *tool) confirm(question string, args ...any) error {
	if t.yes {
		return nil
	}
	if !t.Terminal {
		return errors.New("this changes the system: run it at a terminal, or with --yes")
	}
	fmt.Fprintf(t.Err, question+" [y/N] ", args...)
	answer, _ := t.lines.ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was changed")
}

// show prints data as JSON, or a table of it: a line per row, its cells parted by tabs.
func (t *tool) show(data any, table func(row func(cells ...any))) error {
	if t.format == "json" {
		e := json.NewEncoder(t.Out)
		e.SetIndent("", "  ")
		return e.Encode(data)
	}
	w := tabwriter.NewWriter(t.Out, 0, 4, 2, ' ', 0)
	table(func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, printable(fmt.Sprint(cell)))
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}

// printable is a text without what moves a terminal's cursor or colours it: some of what is shown was sent by anyone.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, text)
}

// reason adds the flag for the reason that is kept with a change.
func reason(c *cobra.Command) *string {
	text := c.Flags().String("reason", "", "why; it is kept")
	_ = c.MarkFlagRequired("reason")
	return text
}
