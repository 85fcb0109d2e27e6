package testservers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Request is what a test program asks for: "new" with a kind; "start", "stop", "kill" with the id of a server; "dump"
// with the URL of a Dumpable server's database.
type Request struct {
	Do   string `json:"do"`
	Kind string `json:"kind,omitempty"`
	ID   int    `json:"id,omitempty"`
	URL  string `json:"url,omitempty"`
}

// Answer is the answer to one request.
type Answer struct {
	ID int `json:"id,omitempty"`
	Address
	Text  string `json:"text,omitempty"` // the dumped schema
	Error string `json:"error,omitempty"`
}

// commandLimit bounds one request.
const commandLimit = 3 * time.Minute

// Serve answers requests, one after the other, until they end: a test program holds the other end of in.
// platform/testenv is its client.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var servers []*Server
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r Request
		if err := requests.Decode(&r); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		answer, err := do(ctx, r, &servers)
		if err != nil {
			answer.Error = err.Error()
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func do(ctx context.Context, r Request, servers *[]*Server) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	switch r.Do {
	case "new":
		s, err := Start(ctx, r.Kind)
		if err != nil {
			return a, err
		}
		*servers = append(*servers, s)
		return Answer{ID: len(*servers), Address: s.Address}, nil
	case "dump":
		a.Text, err = dump(ctx, r.URL)
		return a, err
	}
	if r.ID < 1 || r.ID > len(*servers) {
		return a, fmt.Errorf("there is no server %d", r.ID)
	}
	s := (*servers)[r.ID-1]
	switch r.Do {
	case "start":
		return a, s.Start(ctx)
	case "stop":
		return a, s.Stop(ctx)
	case "kill":
		return a, s.Kill()
	}
	return a, fmt.Errorf("no request %q", r.Do)
}
