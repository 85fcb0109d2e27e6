package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// post sends one request as a client app does, and takes no more of the answer apart than is asked for: the generator runs on
// the processor that is measured.
func (b *bench) post(ctx context.Context, path, token, body string) (status int, header http.Header, answer []byte, err error) {
	target, err := url.Parse(b.world.app.Gateway + path)
	if err != nil {
		return 0, nil, nil, err
	}
	r := (&http.Request{Method: http.MethodPost, URL: target, Host: target.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}).WithContext(ctx)
	res, err := b.world.app.HTTP.Transport.RoundTrip(r)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, res.Header, answer, err
}

// must gives the answer to a post if it is 200.
func (b *bench) must(status int, _ http.Header, answer []byte, err error) ([]byte, error) {
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, answer)
	}
	return answer, err
}

// data decodes what stands in the envelope.
func data[T any](answer []byte) (out T, err error) {
	var envelope struct{ Data *T }
	envelope.Data = &out
	err = json.Unmarshal(answer, &envelope)
	return out, err
}
