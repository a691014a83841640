package permit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ebb-chaos/ebb/internal/permit"
)

var errGone = errors.New("somebody else has it")

// A server never carries out a request whose check fails while its body is on the way, over HTTP/1
// and HTTP/2, also one that is longer than all buffers.
func TestBody(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, size := range []int{1, 1 << 20} {
			var whole atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err == nil && len(body) == size {
					whole.Add(1)
				}
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			for _, calls := range []int64{0, 1, 100} { // that many checks pass
				var left atomic.Int64
				left.Store(calls)
				ctx := permit.With(t.Context(), func() error {
					if left.Add(-1) < 0 {
						return errGone
					}
					return nil
				})
				whole.Store(0)
				req, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL, strings.NewReader(strings.Repeat("x", size)))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := server.Client().Do(permit.Body(req))
				if err == nil {
					err = resp.Body.Close()
				}
				var refused *permit.RefusedError
				passed := calls == 100 || calls == 1 && size == 1 // which was all of it
				if passed != (err == nil) || err != nil && (!errors.As(err, &refused) || !errors.Is(err, errGone)) {
					t.Errorf("http2 %t, %d bytes, %d checks: got %v", http2, size, calls, err)
				}
				if got := whole.Load() == 1; got != passed {
					t.Errorf("http2 %t, %d bytes, %d checks: the server got all of it %d times", http2, size, calls, whole.Load())
				}
			}
			server.Close()
		}
	}
}

// Without a check, and without a body, nothing is in the way.
func TestNothingToCheck(t *testing.T) {
	if err := permit.Check(context.Background()); err != nil {
		t.Error(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if got := permit.Body(req); got != req {
		t.Error("a request without a check is another one")
	}
}
