package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"sync"
)

// progress is how far an audit has come, and the suspects that it has found.
type progress struct {
	mu    sync.Mutex
	path  string // "": it is not kept
	rules map[string]ruleProgress
}

type ruleProgress struct {
	After    string    `json:"after"` // the last id that was looked at
	Done     bool      `json:"done"`
	Suspects offenders `json:"suspects"`
}

func newProgress(path string) *progress {
	return &progress{path: path, rules: map[string]ruleProgress{}}
}

// readProgress reads the file of an audit that was interrupted, if there is one.
func readProgress(path string) (*progress, error) {
	p := newProgress(path)
	if path == "" {
		return p, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.rules)
	}
	if err != nil {
		return nil, fmt.Errorf("the progress of an audit cannot be read: %w", err)
	}
	return p, nil
}

// of returns a rule's suspects, where to go on, and whether all was looked at.
func (p *progress) of(rule string) (suspects offenders, after string, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.rules[rule]
	if r.Suspects == nil {
		r.Suspects = offenders{}
	}
	return r.Suspects, r.After, r.Done
}

func (p *progress) reached(rule string, suspects offenders, after string) error {
	return p.set(rule, ruleProgress{After: after, Suspects: maps.Clone(suspects)})
}

func (p *progress) ended(rule string, suspects offenders) error {
	return p.set(rule, ruleProgress{Done: true, Suspects: suspects})
}

func (p *progress) set(rule string, r ruleProgress) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules[rule] = r
	if p.path == "" {
		return nil
	}
	text, err := json.Marshal(p.rules)
	if err == nil {
		err = os.WriteFile(p.path+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(p.path+".new", p.path)
	}
	return err
}

func (p *progress) remove() error {
	if p.path == "" {
		return nil
	}
	return os.Remove(p.path)
}
