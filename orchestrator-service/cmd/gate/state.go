package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"ticketremaster/orchestrator-service/gate/device"
)

// state is a device between two calls of the command.
type state struct {
	Gateway   string            `json:"gateway"`
	Event     string            `json:"event_id"`
	Hall      string            `json:"hall_id"`
	Device    string            `json:"device"`
	Manifest  string            `json:"manifest"`
	Signature []byte            `json:"signature"`
	Key       ed25519.PublicKey `json:"key"`
	Log       []device.Kept     `json:"log"`
}

func load(file string) (*state, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &s, nil
}

// save replaces the file at once, so that a device that is switched off keeps the former or the new one.
func (s *state) save(file string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".gate-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err = temporary.Write(text); err == nil {
		err = temporary.Sync()
	}
	if end := temporary.Close(); err == nil {
		err = end
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}

func (s *state) device() *device.Device {
	return &device.Device{Name: s.Device, Hall: s.Hall, Log: s.Log}
}

// open returns a device that has a list.
func open(file string) (*state, *device.Device, error) {
	s, err := load(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: gate sync comes first", err)
	}
	m, err := device.Read([]byte(s.Manifest), s.Signature, s.Key)
	if err != nil {
		return nil, nil, err
	}
	d := s.device()
	d.Manifest = m
	return s, d, nil
}
