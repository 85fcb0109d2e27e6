package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Parts names the parts of the stack, as docker-compose.yml does.
func (s *Stack) Parts() []string {
	var names []string
	for _, i := range s.instances {
		names = append(names, i.name)
	}
	return names
}

// Start starts one part and returns once it is ready; one that runs is left
// alone. Each env, NAME=value, overrides a variable of a service until it is started again.
func (s *Stack) Start(ctx context.Context, name string, env ...string) error {
	i, err := s.named(name)
	if err != nil {
		return err
	}
	return i.start(ctx, env)
}

// Stop ends one part gracefully.
func (s *Stack) Stop(ctx context.Context, name string) error {
	i, err := s.named(name)
	if err != nil {
		return err
	}
	return i.stop(ctx)
}

// Restart stops and starts one part, with overrides as for Start.
func (s *Stack) Restart(ctx context.Context, name string, env ...string) error {
	i, err := s.named(name)
	if err != nil {
		return err
	}
	if err := i.stop(ctx); err != nil {
		return err
	}
	return i.start(ctx, env)
}

// Kill ends one part with SIGKILL, as a crash would.
func (s *Stack) Kill(name string) error {
	i, err := s.named(name)
	if err != nil {
		return err
	}
	return i.server(nil).Kill()
}

// Running returns the process id of a part, and false when it does not run.
func (s *Stack) Running(name string) (pid int, ok bool) {
	i, err := s.named(name)
	if err != nil {
		return 0, false
	}
	return i.running()
}

// LogFile is where a part's output goes.
func (s *Stack) LogFile(name string) (string, error) {
	i, err := s.named(name)
	if err != nil {
		return "", err
	}
	return i.logFile(), nil
}

// Addr is where a part listens, host:port; for the inventory service gRPC's.
func (s *Stack) Addr(name string) (string, error) {
	i, err := s.named(name)
	if err != nil {
		return "", err
	}
	return i.address(i.part.ports[len(i.part.ports)-1]), nil
}

// Replica starts one more process of a service, on ports of its own, beside the one that the others call. It returns
// its name, for Kill, Stop and so on. Only a private stack can have replicas, because another run would not find them.
func (s *Stack) Replica(ctx context.Context, name string, env ...string) (string, error) {
	first, err := s.named(name)
	if err != nil {
		return "", err
	}
	if !s.options.Private || first.part.binary == "" {
		return "", fmt.Errorf("a replica of %s: only of a service, in a private stack", name)
	}
	number := 1
	for _, i := range s.instances {
		if i.part.name == name {
			number++
		}
	}
	replica := s.instance(first.part, fmt.Sprintf("-%d", number))
	replica.ports = map[string]int{}
	for _, port := range first.part.ports {
		replica.ports[port] = s.freePort()
	}
	s.instances = append(slices.Clone(s.instances), replica)
	return replica.name, replica.start(ctx, env)
}

// Status is one part's state.
type Status struct {
	Name    string
	Pid     int    // 0: does not run
	Address string // where it listens, if it runs
}

// Status returns the state of every part.
func (s *Stack) Status() []Status {
	var all []Status
	for _, i := range s.instances {
		status := Status{Name: i.name}
		if pid, ok := i.running(); ok {
			status.Pid, status.Address = pid, i.address(i.part.ports[0])
		}
		all = append(all, status)
	}
	return all
}

func (s *Stack) named(name string) (*instance, error) {
	if i := s.find(name); i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("there is no part %q in the stack; there are %s", name, strings.Join(s.Parts(), ", "))
}
