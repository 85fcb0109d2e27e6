package placeholder

import "testing"

func TestBlankAndDemo(t *testing.T) {
	for _, v := range []string{"change_me", "CHANGEME", " change_me ", "your_jwt_secret_here", "your_32_byte_key_here", "whsec_...", "sk_test_...", "your_smu_api_key", "guest"} {
		if !Blank(v) || !Is(v) {
			t.Errorf("%q passes", v)
		}
	}
	for _, v := range []string{"demo-only-jwt-secret-0123456789abcdef", "sk_test_demo-only", "whsec_demo-only"} {
		if Blank(v) || !Is(v) {
			t.Errorf("%q is of the demo: blank %v, sample %v", v, Blank(v), Is(v))
		}
	}
	for _, v := range []string{"0123456789abcdef0123456789abcdef", "sk_test_51Habc", "tr", ""} {
		if Is(v) {
			t.Errorf("%q is taken for a sample", v)
		}
	}
}
