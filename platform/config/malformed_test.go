package config_test

import (
	"strings"
	"testing"
	"time"

	"ticketremaster/platform/config"
)

func TestMalformedVariablesAreNamed(t *testing.T) {
	type Inner struct {
		Port int `env:"INNER_PORT" envDefault:"5432"`
	}
	type settings struct {
		config.Common
		Inner
		Every time.Duration `env:"SWEEP_EVERY"`
		Key   config.Key32  `env:"SOME_KEY"`
		Token config.Secret `env:"SOME_TOKEN,required,notEmpty"`
	}
	t.Setenv("INNER_PORT", "many")
	t.Setenv("SWEEP_EVERY", "often")
	t.Setenv("SOME_KEY", "short")
	_, err := config.Load[settings]()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"INNER_PORT", "SWEEP_EVERY", "SOME_KEY", "SOME_TOKEN"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}
