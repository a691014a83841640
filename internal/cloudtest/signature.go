package cloudtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checkSignature computes signature version 4 from the request as it came, and
// compares. It shares no code with what signs.
func checkSignature(r *http.Request, body []byte, now time.Time) error {
	parts := map[string]string{}
	list, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	for part := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[key] = value
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	scope := strings.Join([]string{at.Format("20060102"), Region, "ec2", "aws4_request"}, "/")
	signed := strings.Split(parts["SignedHeaders"], ";")
	switch {
	case !ok || err != nil:
		return errors.New("no signature of version 4, or no date")
	case now.Sub(at).Abs() > 5*time.Minute:
		return errors.New("the date is too far off")
	case parts["Credential"] != accessKey+"/"+scope:
		return fmt.Errorf("the credential is for another key, day, region or service")
	case r.Header.Get("X-Amz-Security-Token") != session || !slices.Contains(signed, "x-amz-security-token"):
		return errors.New("the session token is missing, wrong or not signed")
	case !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date"):
		return errors.New("host or date is not signed")
	}
	headers := ""
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		headers += name + ":" + strings.Join(strings.Fields(value), " ") + "\n"
	}
	hash := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	canonical := strings.Join([]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, headers, parts["SignedHeaders"], hash(body)}, "\n")
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	want := hex.EncodeToString(mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, hash([]byte(canonical))}, "\n")))
	if !hmac.Equal([]byte(want), []byte(parts["Signature"])) {
		return errors.New("the signature is not that of this request")
	}
	return nil
}
