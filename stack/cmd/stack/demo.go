package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"ticketremaster/stack"
	"ticketremaster/stack/client"
	"ticketremaster/stack/demo"
	"ticketremaster/stack/native"
	"ticketremaster/stack/qr"
)

// The demo's administrator. All accounts of the demo share the password.
const (
	adminEmail   = "admin@ticketremaster.example"
	adminPhone   = "+6590000001"
	demoPassword = "demo-password"
)

// play is make demo: it boots the stack, or uses the running system at GATEWAY_URL, and plays the scenarios. With the
// argument docker it is make demo-docker, against the running containers.
func play(ctx context.Context, args []string, out io.Writer) error {
	target := demo.Target{
		App:        &client.App{Gateway: strings.TrimSuffix(os.Getenv("GATEWAY_URL"), "/"), Sandbox: setting("SANDBOX_URL", "http://127.0.0.1:8025"), APIKey: os.Getenv("GATEWAY_API_KEY")},
		AdminEmail: setting("ADMIN_EMAIL", adminEmail), Password: setting("ADMIN_PASSWORD", demoPassword),
	}
	key, err := os.Getenv("QR_ENCRYPTION_KEY"), error(nil)
	switch {
	case len(args) == 1 && args[0] == "docker":
		key, err = inContainers(ctx, &target)
	case len(args) > 0:
		err = errors.New("usage: stack demo [docker]")
	case target.App.Gateway == "":
		key, err = natively(ctx, &target, out)
	}
	if err != nil {
		return err
	}
	if key != "" {
		read, err := qr.ParseKey(key)
		if err != nil {
			return err
		}
		target.QRKey = &read
	}
	return demo.Play(ctx, target, out)
}

// natively boots the stack and returns its QR key.
func natively(ctx context.Context, target *demo.Target, out io.Writer) (key string, err error) {
	if err := native.Install(ctx, out); err != nil {
		return "", err
	}
	s, err := stack.Boot(ctx, stack.Options{Progress: out})
	if err != nil {
		return "", err
	}
	if _, err := s.Command(ctx, "user-service", []string{"ADMIN_PASSWORD=" + target.Password}, "create-admin", target.AdminEmail, adminPhone); err != nil {
		return "", err
	}
	if s, err = stack.Open(stack.Options{}); err != nil { // the same one, without progress output
		return "", err
	}
	target.Operator, target.App.Gateway, target.App.Sandbox = demo.Native{Stack: s}, s.URL(), s.SandboxURL()
	return s.Secret("QR_ENCRYPTION_KEY"), nil
}

// inContainers finds the containers' addresses and returns their QR key.
func inContainers(ctx context.Context, target *demo.Target) (key string, err error) {
	c := demo.Compose{}
	gateway, err := c.Address(ctx, "api-gateway", 8000)
	if err != nil {
		return "", err
	}
	sandbox, err := c.Address(ctx, "sandbox", 8025)
	if err != nil {
		return "", err
	}
	kong, err := c.Environment(ctx, "api-gateway")
	if err != nil {
		return "", err
	}
	orchestrator, err := c.Environment(ctx, "orchestrator-service")
	if err != nil {
		return "", err
	}
	target.Operator, target.App = c, &client.App{Gateway: "http://" + gateway, Sandbox: "http://" + sandbox, APIKey: kong["GATEWAY_API_KEY"]}
	create := []string{"/user-service", "create-admin", target.AdminEmail, adminPhone}
	return orchestrator["QR_ENCRYPTION_KEY"], c.Exec(ctx, "user-service", []string{"ADMIN_PASSWORD=" + target.Password}, create...)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
