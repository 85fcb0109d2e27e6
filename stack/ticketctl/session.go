package ticketctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ticketremaster/stack/client"
)

// session is what login keeps. Its tokens are for its gateway and no other.
type session struct {
	Gateway string `json:"gateway"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (t *tool) sessionPath() (string, error) {
	if path := t.Getenv("TICKETCTL_SESSION"); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "ticketctl", "session.json"), err
}

func (t *tool) readSession() (s session, err error) {
	path, err := t.sessionPath()
	if err != nil {
		return s, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, errors.New("nobody is logged in: ticketctl login, or TICKETCTL_TOKEN")
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("others may read %s: chmod 600, or log in again", path)
	}
	if err != nil {
		return s, err
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	return s, err
}

func (t *tool) writeSession(s session) error {
	path, err := t.sessionPath()
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		_ = os.Remove(path + ".new")
		err = os.WriteFile(path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// app gives a client of a gateway: the one that is asked for, else other, else the one of this machine.
func (t *tool) app(other string) (*client.App, error) {
	address := "http://localhost:8000"
	for _, given := range []string{t.gateway, t.Getenv("TICKETCTL_GATEWAY"), other} {
		if given != "" {
			address = strings.TrimRight(given, "/")
			break
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the gateway's address must be like https://tickets.example.com")
	}
	local := u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
	if u.Scheme == "http" && !local && !t.plain {
		return nil, errors.New("by http anyone on the way reads the token: use https, or --plain-http in a network of your own")
	}
	return &client.App{Gateway: address, APIKey: t.Getenv("TICKETCTL_API_KEY"), HTTP: &http.Client{Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// ask calls the admin API as whoever is logged in. Anything but success is an error that says what the gateway said.
func (t *tool) ask(ctx context.Context, method, path string, body any) (client.Answer, error) {
	s := session{Access: t.Getenv("TICKETCTL_TOKEN")}
	if s.Access == "" {
		var err error
		if s, err = t.readSession(); err != nil {
			return client.Answer{}, err
		}
	}
	app, err := t.app(s.Gateway)
	if err != nil {
		return client.Answer{}, err
	}
	if s.Gateway != "" && app.Gateway != s.Gateway {
		return client.Answer{}, fmt.Errorf("the session is one of %s: log in at %s", s.Gateway, app.Gateway)
	}
	call := client.Call{Method: method, Path: "/api" + path, Token: s.Access, Body: body}
	a, err := app.Do(ctx, call)
	if err == nil && a.Code == "TOKEN_EXPIRED" && s.Refresh != "" {
		if call.Token, err = t.refresh(ctx, app, s); err != nil {
			return client.Answer{}, err
		}
		a, err = app.Do(ctx, call)
	}
	return a, said(a, err)
}

func (t *tool) refresh(ctx context.Context, app *client.App, s session) (access string, err error) {
	a, err := app.Do(ctx, client.Call{Method: http.MethodPost, Path: "/api/auth/refresh", Token: s.Refresh})
	if err := said(a, err); err != nil {
		return "", fmt.Errorf("the session is over, log in again: %w", err)
	}
	s.Access = a.Text("access_token")
	return s.Access, t.writeSession(s)
}

// said is nil if an answer is a success, else what it says.
func said(a client.Answer, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("the gateway does not answer: %w", err)
	case a.Status < 300:
		return nil
	case a.Code == "":
		return fmt.Errorf("the gateway answers %d", a.Status)
	}
	text := fmt.Sprintf("%s (%s)", printable(a.Message), a.Code)
	if id := a.Header.Get("X-Correlation-ID"); id != "" {
		text += ", correlation id " + printable(id)
	}
	return errors.New(text)
}

func (t *tool) login() *cobra.Command {
	c := &cobra.Command{Use: "login", Short: "Log in as an administrator", Args: cobra.NoArgs,
		Long: "Log in as an administrator. The password is asked for, or is the first line of the standard input; the session is kept in a file that only you can read."}
	email := c.Flags().String("email", "", "the administrator's address")
	_ = c.MarkFlagRequired("email")
	c.RunE = func(c *cobra.Command, _ []string) error {
		app, err := t.app("")
		if err != nil {
			return err
		}
		password, err := t.password(*email)
		if err != nil {
			return err
		}
		a, err := app.Do(c.Context(), client.Call{Method: http.MethodPost, Path: "/api/auth/login", Body: map[string]string{"email": *email, "password": password}})
		if err := said(a, err); err != nil {
			return err
		}
		var in struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
			User    struct {
				Role string `json:"role"`
			} `json:"user"`
		}
		if err := json.Unmarshal(a.Raw, &in); err != nil {
			return err
		}
		if in.User.Role != "admin" {
			_, _ = app.Do(c.Context(), client.Call{Method: http.MethodPost, Path: "/api/auth/logout", Token: in.Access})
			return fmt.Errorf("%s is no administrator", *email)
		}
		return t.writeSession(session{app.Gateway, in.Access, in.Refresh})
	}
	return c
}

func (t *tool) password(email string) (string, error) {
	if t.Terminal {
		fmt.Fprintf(t.Err, "Password of %s: ", email)
		return t.Hidden()
	}
	line, err := t.lines.ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.Join(errors.New("the password is expected on the standard input"), err)
	}
	return line, nil
}

func (t *tool) logout() *cobra.Command {
	return &cobra.Command{Use: "logout", Short: "End the session", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		_, err := t.ask(c.Context(), http.MethodPost, "/auth/logout", nil)
		if path, err := t.sessionPath(); err == nil && t.Getenv("TICKETCTL_TOKEN") == "" {
			_ = os.Remove(path)
		}
		return err
	}}
}
