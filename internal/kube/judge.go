package kube

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/ebb-chaos/ebb/internal/reply"
)

// judge reads an answer, and checks that it belongs to the question. A gateway on the way can
// answer, too, and its 404 does not mean that the object is absent. The error is a *StatusError if
// the API server answered the question, and a [*ForeignError] if nothing may be concluded.
func (q request) judge(r response) (Object, error) {
	switch {
	case r.code >= 200 && r.code < 300:
		return q.success(r)
	case r.code == http.StatusTooManyRequests:
		// The API server answers in plain text if it is overloaded. Whoever answered, nothing was
		// done.
		e := apierrors.NewTooManyRequests("too many requests", 0)
		if s := readStatus(r); s != nil {
			e.ErrStatus = *s
		}
		return nil, e
	}
	s := readStatus(r)
	if s == nil {
		return nil, foreign(r, "")
	}
	if name, refused := webhook(s.Message); refused {
		return nil, denied(name, hideValues(q, *s))
	}
	if r.code == http.StatusNotFound && !q.about(s) && !q.aboutNamespace(s) {
		got := fmt.Sprintf("NotFound of %s %q", s.Details.Kind, s.Details.Name)
		if s.Details.Kind == "" && s.Details.Name == "" {
			got = "NotFound of nothing by name"
		}
		return nil, &ForeignError{Code: r.code, Got: got, Want: "one of " + q.thing()}
	}
	return nil, asRefusal(q, statusError(hideValues(q, *s)))
}

func statusError(s metav1.Status) error { return &apierrors.StatusError{ErrStatus: s} }

// readStatus returns the refusal of the API server, or nil if the answer is none. Its details are
// not nil.
func readStatus(r response) *metav1.Status {
	var s metav1.Status
	if err := json.Unmarshal(r.body, &s); err != nil || s.Kind != "Status" || s.APIVersion != "v1" || s.Status != metav1.StatusFailure {
		return nil
	}
	if s.Code != 0 && int(s.Code) != r.code {
		return nil
	}
	s.Code = int32(r.code) //nolint:gosec // three digits
	if s.Details == nil {
		s.Details = &metav1.StatusDetails{}
	}
	return &s
}

// about reports whether a refusal is about the object of the request.
func (q request) about(s *metav1.Status) bool {
	d := s.Details // which readStatus made, if it was not there
	kinds := d.Kind == q.resource.Plural || strings.EqualFold(d.Kind, q.resource.Kind) ||
		// The API server passes on the answer of a kubelet under the name pods/log.
		q.subresource != "" && d.Kind == q.resource.Plural+"/"+q.subresource
	// An absent object has no UID.
	absent := s.Code != http.StatusNotFound || d.UID == ""
	return q.name != "" && d.Name == q.name && d.Group == q.resource.Group && kinds && absent
}

// aboutNamespace reports whether what is missing is the namespace to create something in.
func (q request) aboutNamespace(s *metav1.Status) bool {
	return q.method == http.MethodPost && s.Details.Kind == "namespaces" && s.Details.Name == q.namespace
}

// thing is what the request is about, in words.
func (q request) thing() string {
	name := q.resource.Plural
	if q.name != "" {
		name = fmt.Sprintf("%s %q", name, q.name)
	}
	if q.namespace != "" {
		name += fmt.Sprintf(" in namespace %q", q.namespace)
	}
	return name
}

// excerpt is how much of a foreign answer is quoted.
const excerpt = 80

// foreign returns an error that says what answered.
func foreign(r response, want string) *ForeignError {
	got := reply.OneLine(string(r.body))
	if len(got) > excerpt {
		got = strings.ToValidUTF8(got[:excerpt], "") + "…"
	}
	kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil {
		kind = "of no type"
	}
	return &ForeignError{Code: r.code, Got: fmt.Sprintf("%s %q", kind, got), Want: want}
}

// success reads an answer that says that all went well.
func (q request) success(r response) (Object, error) {
	if q.text {
		if kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type")); err != nil || kind != "text/plain" || r.code != http.StatusOK {
			return nil, foreign(r, "text/plain")
		}
		return nil, nil
	}
	if q.take != nil {
		if got := q.take(r.body); got != "" {
			return nil, &ForeignError{Code: r.code, Got: got, Want: q.thing()}
		}
		return nil, nil
	}
	object, err := decode(r.body)
	if err != nil {
		return nil, foreign(r, q.thing())
	}
	expect := q.expect
	if expect == nil {
		expect = q.object
	}
	if got := expect(object); got != "" {
		return nil, &ForeignError{Code: r.code, Got: got, Want: q.thing()}
	}
	return object, nil
}

// The functions below check the answers to the different requests. They return what came instead,
// or "" if the answer is right.

// isA compares what an object says it is.
func isA(object Object, apiVersion, kind string) string {
	if object["apiVersion"] != apiVersion || object["kind"] != kind {
		return fmt.Sprintf("%v %v", orNone(object["apiVersion"]), orNone(object["kind"]))
	}
	return ""
}

func orNone(v any) any {
	if v == nil || v == "" {
		return "none"
	}
	return v
}

// object is the one that was asked for.
func (q request) object(object Object) string {
	if got := isA(object, q.resource.APIVersion(), q.resource.Kind); got != "" {
		return got
	}
	name, namespace := Meta(object).GetName(), Meta(object).GetNamespace()
	switch {
	case name != q.name || namespace != q.namespace:
		return fmt.Sprintf("%s %q in namespace %q", q.resource.Kind, name, namespace)
	case Meta(object).GetUID() == "" && builtInGroup(q.resource.Group):
		return fmt.Sprintf("%s %q without a UID", q.resource.Kind, name)
	}
	return ""
}

// deleted wants the object, which is being deleted, or a Status that says that it is gone.
func (q request) deleted(object Object) string {
	if object["kind"] != "Status" {
		return q.object(object)
	}
	details, _ := object["details"].(Object)
	if object["apiVersion"] != "v1" || object["status"] != metav1.StatusSuccess || details["name"] != q.name {
		return fmt.Sprintf("Status %v about %v", orNone(object["status"]), orNone(details["name"]))
	}
	if kind := details["kind"]; kind != q.resource.Plural && kind != q.resource.Kind {
		return fmt.Sprintf("Status about kind %v", orNone(kind))
	}
	return ""
}

// list wants a list of the objects that were asked for. Custom kinds may name their lists as they
// like, as long as the name ends with List.
func (q request) list(list Object) string {
	kind, _ := list["kind"].(string)
	if got := isA(list, q.resource.APIVersion(), kind); got != "" || !strings.HasSuffix(kind, "List") ||
		builtInGroup(q.resource.Group) && kind != q.resource.Kind+"List" {
		return fmt.Sprintf("%v %v", orNone(list["apiVersion"]), orNone(list["kind"]))
	}
	items, ok := list["items"].([]any)
	if _, there := list["items"]; !there || !ok && list["items"] != nil {
		return kind + " without items"
	}
	if Meta(list).GetResourceVersion() == "" && builtInGroup(q.resource.Group) {
		return kind + " without a resource version"
	}
	selected := q.selection()
	for _, item := range items {
		object, ok := item.(Object)
		if !ok {
			return fmt.Sprintf("%s with an item of type %T", kind, item)
		}
		if got := selected(object); got != "" {
			return fmt.Sprintf("%s with %q, which %s", kind, Meta(object).GetName(), got)
		}
		// Items of built-in kinds come without apiVersion and kind.
		if object["kind"] == nil && object["apiVersion"] == nil {
			object["apiVersion"], object["kind"] = q.resource.APIVersion(), q.resource.Kind
		}
		named := q
		named.name = Meta(object).GetName()
		if q.namespace == "" {
			named.namespace = Meta(object).GetNamespace()
		}
		if got := named.object(object); got != "" || named.name == "" || q.resource.Namespaced && named.namespace == "" {
			return fmt.Sprintf("%s with %v %q in namespace %q", kind, orNone(object["kind"]), named.name, Meta(object).GetNamespace())
		}
	}
	return ""
}

// inProcess are the API groups that the API server serves itself, besides those of the common
// kinds.
var inProcess = map[string]bool{
	"": true, "admissionregistration.k8s.io": true, "apiextensions.k8s.io": true, "apiregistration.k8s.io": true,
	"authentication.k8s.io": true, "authorization.k8s.io": true, "certificates.k8s.io": true, "events.k8s.io": true,
	"flowcontrol.apiserver.k8s.io": true, "node.k8s.io": true, "resource.k8s.io": true,
}

func builtInGroup(group string) bool {
	if inProcess[group] {
		return true
	}
	for _, r := range commonKinds {
		if r.Group == group {
			return true
		}
	}
	return false
}
