package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Parts names the parts of the stack, as docker-compose.yml does.
func (s *Stack) Parts() []string {
	var names []string
	for _, i := range s.instances {
		names = append(names, i.name)
	}
	return names
}

// The parts are addressed by name. Of a service with replicas, its own name means all of them, and the name of one (see
// Parts) that one.

// Start starts a part and returns once it is ready; one that runs is left alone. Each env, NAME=value, overrides a
// variable of a service until it is started again.
func (s *Stack) Start(ctx context.Context, name string, env ...string) error {
	return s.each(name, func(i *instance) error { return i.start(ctx, env) })
}

// Stop ends a part gracefully.
func (s *Stack) Stop(ctx context.Context, name string) error {
	return s.each(name, func(i *instance) error { return i.stop(ctx) })
}

// Restart stops and starts a part, with overrides as for Start.
func (s *Stack) Restart(ctx context.Context, name string, env ...string) error {
	if err := s.Stop(ctx, name); err != nil {
		return err
	}
	return s.Start(ctx, name, env...)
}

// Kill ends a part with SIGKILL, as a crash would.
func (s *Stack) Kill(name string) error {
	return s.each(name, func(i *instance) error { return i.server(nil).Kill() })
}

// each does something with all instances of that name at the same time.
func (s *Stack) each(name string, do func(*instance) error) error {
	all, err := s.named(name)
	if err != nil {
		return err
	}
	var together errgroup.Group
	for _, i := range all {
		together.Go(func() error { return do(i) })
	}
	return together.Wait()
}

// Running returns the process id of a part, of its first replica if there are several, and false when it does not run.
func (s *Stack) Running(name string) (pid int, ok bool) {
	all, err := s.named(name)
	if err != nil {
		return 0, false
	}
	return all[0].running()
}

// LogFile is where a part's output goes, that of its first replica if there are several.
func (s *Stack) LogFile(name string) (string, error) {
	all, err := s.named(name)
	if err != nil {
		return "", err
	}
	return all[0].logFile(), nil
}

// Addr is where a part, or its first replica, listens, host:port; for the inventory service gRPC's.
func (s *Stack) Addr(name string) (string, error) {
	all, err := s.named(name)
	if err != nil {
		return "", err
	}
	return all[0].address(all[0].part.ports[len(all[0].part.ports)-1]), nil
}

// Replica starts one more process of a service, on ports of its own, beside those that the others call. It returns its
// name, for Kill, Stop and so on. Only a private stack can have such replicas, because another run would not find them.
func (s *Stack) Replica(ctx context.Context, name string, env ...string) (string, error) {
	all, err := s.named(name)
	if err != nil {
		return "", err
	}
	p := all[0].part
	if !s.options.Private || p.binary == "" {
		return "", fmt.Errorf("a replica of %s: only of a service, in a private stack", name)
	}
	number := 1
	for _, i := range s.instances {
		if i.part.name == p.name {
			number++
		}
	}
	i := &instance{name: fmt.Sprintf("%s-%d", p.name, number), part: p, stack: s, number: number}
	for _, port := range p.ports {
		s.ports[i.portName(port)] = s.freePort()
	}
	s.instances = append(slices.Clone(s.instances), i)
	return i.name, i.start(ctx, env)
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

// named returns the instance of that name, or all that Options asks for of the part of that name.
func (s *Stack) named(name string) ([]*instance, error) {
	var all []*instance
	for _, i := range s.instances {
		if i.name == name {
			return []*instance{i}, nil
		}
		if i.part.name == name && i.number <= s.options.Replicas {
			all = append(all, i)
		}
	}
	if all == nil {
		return nil, fmt.Errorf("there is no part %q in the stack; there are %s", name, strings.Join(s.Parts(), ", "))
	}
	return all, nil
}
