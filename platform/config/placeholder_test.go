package config_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"ticketremaster/platform/config"
)

// A sample secret is accepted in a demo and refused in production, in every form.
func TestPlaceholderSecretsAreRefusedInProduction(t *testing.T) {
	type settings struct {
		config.Common
		Inner struct {
			Token config.Secret `env:"SOME_TOKEN"`
		}
		Key      config.Key32  `env:"SOME_KEY"`
		Previous *config.Key32 `env:"OLD_KEY"`
		Unset    *config.Key32 `env:"UNSET_KEY"`
		Mine     config.Secret `env:"MY_TOKEN"`
	}
	sample := "demo-only-key-demo-only-key-demo"
	t.Setenv("SOME_TOKEN", "sk_test_demo-only")
	t.Setenv("SOME_KEY", sample)
	t.Setenv("OLD_KEY", base64.StdEncoding.EncodeToString([]byte(sample)))
	t.Setenv("MY_TOKEN", "6d1f4e")
	if _, err := config.Load[settings](); err != nil {
		t.Fatal(err)
	}
	t.Setenv("APP_ENV", "production")
	_, err := config.Load[settings]()
	if err == nil {
		t.Fatal("accepted in production")
	}
	for _, name := range []string{"SOME_TOKEN", "SOME_KEY", "OLD_KEY"} {
		if !strings.Contains(err.Error(), name+" is a placeholder") {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "MY_TOKEN") || strings.Contains(err.Error(), "UNSET_KEY") {
		t.Errorf("too much is refused: %v", err)
	}
}
