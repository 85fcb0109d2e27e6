package sandbox

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	codeLife  = 5 * time.Minute
	inboxSize = 1000 // messages kept, over all phones
)

// smu is the Notification API's state: one live code per phone, and the messages sent.
type smu struct {
	mu    sync.Mutex
	codes map[string]code
	sent  []message // oldest first
}

type code struct {
	digits  string
	expires time.Time
}

// message is a text that a phone would have got.
type message struct {
	PhoneNumber string    `json:"phone_number"`
	Message     string    `json:"message"`
	OTPCode     string    `json:"otp_code"`
	SentAt      time.Time `json:"sent_at"`
}

// smuOnly accepts callers with the key.
func (s *Server) smuOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("X-API-Key")
		if given == "" {
			given, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		}
		if subtle.ConstantTimeCompare([]byte(given), []byte(s.config.SMUKey.Reveal())) != 1 {
			reply(w, http.StatusUnauthorized, object{"success": false, "error": "unauthorized"})
			return
		}
		next(w, r)
	}
}

// sendOTP makes a code for the phone, in place of an older one, and "sends" it at the end of the message.
func (s *Server) sendOTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		PhoneNumber string `json:"phone_number"`
		Message     string `json:"message"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.PhoneNumber == "" {
		reply(w, http.StatusBadRequest, object{"success": false, "error": "phone_number and message are needed"})
		return
	}
	digits := s.config.FixedOTP
	if digits == "" {
		n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
		if err != nil {
			reply(w, http.StatusInternalServerError, object{"success": false, "error": err.Error()})
			return
		}
		digits = fmt.Sprintf("%06d", n)
	}
	now := s.now()
	s.smu.mu.Lock()
	defer s.smu.mu.Unlock()
	s.smu.codes[body.PhoneNumber] = code{digits, now.Add(codeLife)}
	s.smu.sent = append(s.smu.sent, message{body.PhoneNumber, strings.TrimSpace(body.Message + " Code: " + digits), digits, now.UTC()})
	if surplus := len(s.smu.sent) - inboxSize; surplus > 0 {
		s.smu.sent = append([]message(nil), s.smu.sent[surplus:]...)
	}
	reply(w, http.StatusOK, object{"success": true})
}

// verifyOTP accepts a correct code once.
func (s *Server) verifyOTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		PhoneNumber string `json:"phone_number"`
		OTPCode     string `json:"otp_code"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.PhoneNumber == "" {
		reply(w, http.StatusBadRequest, object{"success": false, "error": "phone_number and otp_code are needed"})
		return
	}
	s.smu.mu.Lock()
	defer s.smu.mu.Unlock()
	live, ok := s.smu.codes[body.PhoneNumber]
	switch {
	case !ok || !s.now().Before(live.expires):
		delete(s.smu.codes, body.PhoneNumber)
		reply(w, http.StatusBadRequest, object{"success": false, "error": "expired"})
	case subtle.ConstantTimeCompare([]byte(live.digits), []byte(body.OTPCode)) != 1:
		reply(w, http.StatusBadRequest, object{"success": false, "error": "invalid"})
	default:
		delete(s.smu.codes, body.PhoneNumber)
		reply(w, http.StatusOK, object{"success": true})
	}
}

// inbox lists what a phone was sent, or all of them, newest first.
func (s *Server) inbox(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, s.messages(r.URL.Query().Get("phone")))
}

func (s *Server) messages(phone string) []message {
	s.smu.mu.Lock()
	defer s.smu.mu.Unlock()
	found := []message{}
	for i := len(s.smu.sent) - 1; i >= 0; i-- {
		if phone == "" || s.smu.sent[i].PhoneNumber == phone {
			found = append(found, s.smu.sent[i])
		}
	}
	return found
}
