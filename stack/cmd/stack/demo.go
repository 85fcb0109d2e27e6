package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"ticketremaster/platform/config"
	"ticketremaster/platform/native"
	"ticketremaster/stack"
	"ticketremaster/stack/client"
	"ticketremaster/stack/demo"
)

// The demo's administrator. All accounts of the demo share the password.
const (
	adminEmail   = "admin@ticketremaster.example"
	adminPhone   = "+6590000001"
	demoPassword = "demo-password"
)

// play is make demo: it boots the stack, or takes the running system at GATEWAY_URL, and plays the storyboard.
func play(ctx context.Context, out io.Writer) error {
	stage := demo.Stage{
		App:        &client.App{Gateway: strings.TrimSuffix(os.Getenv("GATEWAY_URL"), "/"), Sandbox: setting("SANDBOX_URL", "http://127.0.0.1:8025"), APIKey: os.Getenv("GATEWAY_API_KEY")},
		AdminEmail: setting("ADMIN_EMAIL", adminEmail), Password: setting("ADMIN_PASSWORD", demoPassword),
	}
	key := os.Getenv("QR_ENCRYPTION_KEY")
	if stage.App.Gateway == "" {
		if err := native.Install(ctx, out); err != nil {
			return err
		}
		s, err := stack.Boot(ctx, stack.Options{Progress: out})
		if err != nil {
			return err
		}
		if _, err := s.Command(ctx, "user-service", []string{"ADMIN_PASSWORD=" + stage.Password}, "create-admin", stage.AdminEmail, adminPhone); err != nil {
			return err
		}
		if s, err = stack.Open(stack.Options{}); err != nil { // the same one, without its lines of progress
			return err
		}
		stage.Stack, stage.App.Gateway, stage.App.Sandbox, key = s, s.URL(), s.SandboxURL(), s.Secret("QR_ENCRYPTION_KEY")
	}
	if key != "" {
		stage.QRKey = new(config.Key32)
		if err := stage.QRKey.UnmarshalText([]byte(key)); err != nil {
			return fmt.Errorf("QR_ENCRYPTION_KEY %w", err)
		}
	}
	return demo.Play(ctx, stage, out)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
