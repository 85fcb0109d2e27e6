package stack

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ticketremaster/stack/native"
)

// newSecrets makes the secrets of a new stack. No two stacks share one.
func newSecrets() map[string]string {
	secrets := map[string]string{
		"RABBITMQ_USER":         "ticketremaster",
		"STRIPE_SECRET_KEY":     "sk_test_" + random(24), // what the sandbox takes; a live key it refuses
		"STRIPE_WEBHOOK_SECRET": "whsec_" + random(24),
	}
	for _, name := range []string{
		"INVENTORY_DB_PASS", "USER_DB_PASS", "ORDER_DB_PASS", "EVENT_DB_PASS", "SAGA_DB_PASS", "RABBITMQ_PASS",
		"INVENTORY_TOKEN", "USER_TOKEN", "ORDER_TOKEN", "EVENT_TOKEN", "JWT_SECRET",
		"QR_ENCRYPTION_KEY", "TOTP_ENCRYPTION_KEY", "SMU_API_KEY",
	} {
		secrets[name] = random(32)
	}
	return secrets
}

// random returns n random bytes in hex.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// loadSecrets reads the stack's secrets, which are generated once, and adds those that are missing.
func (s *Stack) loadSecrets() error {
	file := filepath.Join(s.dir, "secrets.env")
	secrets, err := readEnv(file)
	if err != nil {
		return err
	}
	s.secrets = merge(newSecrets(), secrets)
	if len(s.secrets) == len(secrets) {
		return nil
	}
	return writeEnv(file, s.secrets)
}

// loadPorts reads the ports of the last start.
func (s *Stack) loadPorts() error {
	kept, err := readEnv(filepath.Join(s.dir, "ports.env"))
	if err != nil {
		return err
	}
	s.ports = map[string]int{}
	for name, text := range kept {
		if port, err := strconv.Atoi(text); err == nil {
			s.ports[name] = port
		}
	}
	return nil
}

// choosePorts chooses the ports of the wanted parts that do not run; those that run keep theirs. It is the port that
// the environment names, else the one of the last start, else the default, else a free one. A port that the environment
// names, and the gateway's, is not replaced when it is taken: that is an error.
func (s *Stack) choosePorts(wanted []*instance) error {
	var problems []error
	for _, i := range s.instances {
		_, runs := i.running()
		for _, name := range i.part.ports {
			name = i.portName(name)
			port, err := s.choosePort(name, runs, slices.Contains(wanted, i), i.part.binary != "")
			if err != nil {
				problems = append(problems, err)
			}
			s.ports[name] = port
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	text := map[string]string{}
	for name, port := range s.ports {
		text[name] = strconv.Itoa(port)
	}
	return writeEnv(filepath.Join(s.dir, "ports.env"), text)
}

func (s *Stack) choosePort(name string, runs, wanted, ours bool) (int, error) {
	port := s.ports[name]
	if s.options.Private {
		if runs || port != 0 && native.PortFree(port) {
			return port, nil
		}
		return s.freePort(), nil
	}
	named := 0
	if text := os.Getenv(name); text != "" {
		var err error
		if named, err = strconv.Atoi(text); err != nil || named < 1 || named > 65535 {
			return port, fmt.Errorf("%s=%q is not a port", name, text)
		}
	}
	switch {
	case runs && (named == 0 || named == port || !ours): // a server that runs stays where it is
		return port, nil
	case named != 0:
		if wanted && !native.PortFree(named) {
			return port, fmt.Errorf("%s=%d is taken by another program", name, named)
		}
		return named, nil
	case port == 0 || name == "PORT":
		port = defaultPorts[name]
	}
	if !wanted || port != 0 && native.PortFree(port) {
		return port, nil
	}
	if name == "PORT" {
		return port, fmt.Errorf("port %d, the gateway's, is taken by another program: set PORT to a free one, for example PORT=%d", port, s.freePort())
	}
	return s.freePort(), nil
}

// freePort is a free port that no other part of this stack has been given.
func (s *Stack) freePort() int {
	for {
		port, taken := native.FreePort(), false
		for _, other := range s.ports {
			taken = taken || other == port
		}
		if !taken {
			return port
		}
	}
}

// readEnv reads NAME=value lines. A file that is not there is empty.
func readEnv(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = value
		}
	}
	return values, nil
}

// writeEnv replaces the file as a whole, readable by its owner only.
func writeEnv(file string, values map[string]string) error {
	var lines []string
	for name, value := range values {
		lines = append(lines, name+"="+value+"\n")
	}
	slices.Sort(lines)
	if err := os.WriteFile(file+".new", []byte(strings.Join(lines, "")), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
