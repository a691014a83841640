package sandboxtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// Class is how long a client may ask again after a wrong answer.
type Class int

const (
	// Outage is for as long as the client's patience lasts.
	Outage Class = iota
	// Few is for a handful of attempts: the server says the same each time, and means it.
	Few
	// Final is not at all.
	Final
)

// WrongAnswer is what comes back instead of the API server's answer to the question.
type WrongAnswer struct {
	Name  string
	Class Class
	Fault Fault
	// Reads: only answers of reads are wrong in this way.
	Reads bool
}

// answerWith answers without forwarding.
func answerWith(code int, contentType, body string, headers ...string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			reset(w)
			return
		}
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		if _, err := io.WriteString(w, body); err != nil && code != http.StatusNoContent {
			reset(w)
		}
	}
}

// change forwards the request and changes the answer, a refusal's too. Answers that are no JSON
// objects pass.
func change(edit func(map[string]any)) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		whole := httptest.NewRecorder()
		forward.ServeHTTP(whole, r)
		body := whole.Body.Bytes()
		var object map[string]any
		if json.Unmarshal(body, &object) == nil && object != nil {
			edit(object)
			changed, err := json.Marshal(object)
			if err != nil {
				reset(w)
				return
			}
			body = changed
		}
		answerWith(whole.Code, "application/json", string(body))(w, r, forward)
	}
}

func meta(object map[string]any) map[string]any {
	m, ok := object["metadata"].(map[string]any)
	if !ok {
		m = map[string]any{}
		object["metadata"] = m
	}
	return m
}

// eachObject edits the object, or each item of a list.
func eachObject(edit func(map[string]any)) func(map[string]any) {
	return func(object map[string]any) {
		items, ok := object["items"].([]any)
		if !ok {
			edit(object)
			return
		}
		for _, item := range items {
			if object, ok := item.(map[string]any); ok {
				edit(object)
			}
		}
	}
}

func status(code int, reason, message, details string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%q,"details":%s,"code":%d}`,
		message, reason, details, code)
}

const (
	page  = "text/html; charset=utf-8"
	plain = "text/plain; charset=utf-8"
	jsons = "application/json"
	nginx = "<html><head><title>404 Not Found</title></head><body><center><h1>404 Not Found</h1></center><hr><center>nginx</center></body></html>"
)

// WrongAnswers returns every kind there is, all of which real gateways, portals, caches, webhooks
// and aggregated servers have been seen to give.
func WrongAnswers() []WrongAnswer {
	var all []WrongAnswer
	for _, group := range [][]WrongAnswer{foreign404s(), foreignRefusals(), foreignSuccesses(), otherThings(), inTrouble()} {
		all = append(all, group...)
	}
	return all
}

// foreign404s say that something is not there, and are not about the object.
func foreign404s() []WrongAnswer {
	const gone = "the server could not find it"
	return []WrongAnswer{
		{Name: "404 of a web server", Fault: answerWith(404, page, nginx)},
		{Name: "404 in text", Fault: answerWith(404, plain, "404 page not found\n")},
		{Name: "404 of a default backend", Fault: answerWith(404, plain, "default backend - 404")},
		{Name: "404 in foreign JSON", Fault: answerWith(404, jsons, `{"error":"not found","status":404}`)},
		{Name: "404 in foreign JSON with the API's words", Fault: answerWith(404, jsons, `{"reason":"NotFound","code":404,"message":"configmaps \"a\" not found"}`)},
		{Name: "404 with nothing", Fault: answerWith(404, "", "")},
		{Name: "404 of an object, as if it were there", Fault: answerWith(404, jsons, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}`)},
		{Name: "404 about another name", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `{"name":"another","kind":"configmaps"}`))},
		{Name: "404 about another kind", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `{"name":"a","kind":"gadgets"}`))},
		{Name: "404 about another group", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `{"name":"a","group":"example.com","kind":"configmaps"}`))},
		{Name: "404 about nothing", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `{}`))},
		{Name: "404 without details", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `null`))},
		{Name: "404 with the status of a 500", Fault: answerWith(404, jsons, status(500, "NotFound", gone, `{"name":"a","kind":"configmaps"}`))},
		{Name: "404 with a status of no version", Fault: answerWith(404, jsons, `{"kind":"Status","status":"Failure","reason":"NotFound","code":404,"details":{"name":"a","kind":"configmaps"}}`)},
		{Name: "404 with a success", Fault: answerWith(404, jsons, `{"kind":"Status","apiVersion":"v1","status":"Success","code":404,"details":{"name":"a","kind":"configmaps"}}`)},
		{Name: "404 cut off", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `{"name":"a","kind":"configmaps"}`)[:60])},
		{Name: "404 of a webhook", Class: Final, Fault: answerWith(404, jsons, status(404, "NotFound", `admission webhook "policy.example.com" denied the request: no such tenant`, `{"name":"a","kind":"configmaps"}`))},
		{Name: "404 about the status of an object", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `{"name":"a","kind":"configmaps/status"}`))},
		{Name: "404 about a UID", Fault: answerWith(404, jsons, status(404, "NotFound", gone, `{"name":"a","kind":"configmaps","uid":"5c1a9f0e-0000-4000-8000-000000000000"}`))},
		{Name: "410 in text", Fault: answerWith(410, plain, "Gone")},
	}
}

// foreignRefusals come from what stands before the API server.
func foreignRefusals() []WrongAnswer {
	return []WrongAnswer{
		{Name: "401 of a portal", Class: Final, Fault: answerWith(401, page, "<html>please log in</html>")},
		{Name: "403 of a firewall", Class: Final, Fault: answerWith(403, page, "<html>blocked by policy</html>")},
		{Name: "407 of a proxy", Class: Final, Fault: answerWith(407, page, "<html>proxy authentication required</html>")},
		{Name: "a redirect elsewhere", Fault: answerWith(302, page, "<a href=https://login.example.com>", "Location", "https://login.example.com/")},
		{Name: "a redirect elsewhere that keeps the method", Fault: answerWith(307, page, "", "Location", "https://login.example.com/")},
		{Name: "301 without a place", Fault: answerWith(301, "", "")},
		{Name: "400 of a load balancer", Fault: answerWith(400, page, "<html>400 Bad Request</html>")},
		{Name: "405 in text", Fault: answerWith(405, plain, "method not allowed")},
		{Name: "408 of a gateway", Fault: answerWith(408, page, "<html>Request Time-out</html>")},
		{Name: "409 in foreign JSON", Fault: answerWith(409, jsons, `{"error":"AlreadyExists"}`)},
		{Name: "413 of a gateway", Fault: answerWith(413, page, "<html>Request Entity Too Large</html>")},
		{Name: "422 in text", Fault: answerWith(422, plain, "unprocessable")},
		{Name: "plain HTTP to a TLS port", Class: Final, Fault: answerWith(400, plain, "Client sent an HTTP request to an HTTPS server.\n")},
	}
}

// foreignSuccesses say that all went well, and nothing of what was asked.
func foreignSuccesses() []WrongAnswer {
	return []WrongAnswer{
		{Name: "200 of a portal", Fault: answerWith(200, page, "<html>welcome, please log in</html>")},
		{Name: "200 in HTML that says JSON", Fault: answerWith(200, jsons, "<html>welcome</html>")},
		{Name: "200 in text", Fault: answerWith(200, plain, "OK"), Reads: true},
		{Name: "200 with nothing", Fault: answerWith(200, jsons, "")},
		{Name: "200 {}", Fault: answerWith(200, jsons, "{}")},
		{Name: "200 null", Fault: answerWith(200, jsons, "null")},
		{Name: "200 []", Fault: answerWith(200, jsons, "[]")},
		{Name: "200 with a number", Fault: answerWith(200, jsons, "200")},
		{Name: "200 in foreign JSON", Fault: answerWith(200, jsons, `{"status":"ok","healthy":true}`)},
		{Name: "200 with a failure", Fault: answerWith(200, jsons, status(404, "NotFound", "gone", `{"name":"a","kind":"configmaps"}`))},
		{Name: "200 with a success about nothing", Fault: answerWith(200, jsons, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)},
		{Name: "200 with a success about another", Fault: answerWith(200, jsons, `{"kind":"Status","apiVersion":"v1","status":"Success","details":{"name":"another","kind":"configmaps"}}`)},
		{Name: "200 with a success about another kind", Fault: answerWith(200, jsons, `{"kind":"Status","apiVersion":"v1","status":"Success","details":{"name":"a","kind":"gadgets"}}`)},
		{Name: "200 with a table", Fault: answerWith(200, jsons, `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7"},"columnDefinitions":[],"rows":[]}`)},
		{Name: "200 with an event of a watch", Fault: answerWith(200, jsons, `{"type":"DELETED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","uid":"5c1a9f0e"}}}`)},
		{Name: "204", Fault: answerWith(204, "", "")},
		{Name: "gzip that is none", Fault: answerWith(200, jsons, "\x1f\x8b but no more", "Content-Encoding", "gzip")},
		{Name: "a content type that is none", Fault: answerWith(200, ";;;", "{}")},
		{Name: "200 cut off inside", Fault: answerWith(200, jsons, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"`)},
		{Name: "half an answer", Fault: HalfAnswer},
	}
}

// otherThings are the API server's answers to other questions.
func otherThings() []WrongAnswer {
	set := func(key string, value any) func(map[string]any) {
		return func(object map[string]any) { object[key] = value }
	}
	return []WrongAnswer{
		{Name: "another name", Fault: change(func(o map[string]any) {
			meta(o)["name"] = "another"
			if details, ok := o["details"].(map[string]any); ok {
				details["name"] = "another"
			}
		})},
		{Name: "another namespace", Fault: change(eachObject(func(o map[string]any) {
			meta(o)["namespace"] = "elsewhere"
			o["kind"] = "ConfigMap" // a delete's success has none
		}))},
		{Name: "another kind", Fault: change(set("kind", "Gadget"))},
		{Name: "another apiVersion", Fault: change(set("apiVersion", "example.com/v1"))},
		{Name: "an object without a kind", Fault: change(func(o map[string]any) { delete(o, "kind") })},
		{Name: "an object without metadata", Fault: change(eachObject(func(o map[string]any) { delete(o, "metadata"); delete(o, "details") }))},
		{Name: "a list without items", Fault: change(func(o map[string]any) { delete(o, "items"); delete(o, "metadata"); delete(o, "details") })},
	}
}

// inTrouble are answers of the API server's, and of gateways, that something is wrong.
func inTrouble() []WrongAnswer {
	return []WrongAnswer{
		{Name: "500 about a webhook", Class: Few, Fault: answerWith(500, jsons, status(500, "InternalError", `Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.svc:443": connect: connection refused`, `null`))},
		{Name: "500 about a conversion", Class: Few, Fault: answerWith(500, jsons, status(500, "", `conversion webhook for example.com/v1, Kind=Gadget failed: Post "https://gadgets.svc": EOF`, `null`))},
		{Name: "500, always the same", Class: Few, Fault: answerWith(500, jsons, status(500, "InternalError", "Internal error occurred: resource quota evaluation failed", `null`))},
		{Name: "410 of the API server", Class: Final, Fault: answerWith(410, jsons, status(410, "Expired", "too old resource version: 7 (9)", `null`))},
		{Name: "500 of a gateway", Fault: answerWith(500, page, "<html>Internal Server Error</html>")},
		{Name: "502 of a gateway", Fault: answerWith(502, page, "<html>Bad Gateway</html>")},
		{Name: "503 of a gateway", Fault: answerWith(503, plain, "no healthy upstream")},
		{Name: "503 of the API server", Fault: answerWith(503, jsons, status(503, "ServiceUnavailable", "apiserver is shutting down", `null`))},
		{Name: "504 of a gateway", Fault: answerWith(504, page, "<html>Gateway Time-out</html>")},
		{Name: "504 of the API server", Fault: answerWith(504, jsons, status(504, "Timeout", "request did not complete within requested timeout", `null`))},
		{Name: "429 with an hour", Fault: answerWith(429, plain, "Too many requests, please try again later.\n", "Retry-After", "3600")},
		{Name: "429 of a gateway", Fault: answerWith(429, page, "<html>slow down</html>")},
		{Name: "nothing, the connection gone", Fault: Drop},
	}
}
