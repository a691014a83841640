package gcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// The statuses of an instance that this package knows; it passes on any other.
const (
	Running = "RUNNING"
	Stopped = "TERMINATED" // how Google calls one that is stopped and can be started
)

// showTime limits the time until the status shows an accepted change.
const showTime = 2 * time.Minute

// Instance names a virtual machine.
type Instance struct{ Project, Zone, Name string }

// segment matches what may be a part of a URL. A project may be "example.com:name".
var segment = lazyregexp.New(`^[a-z0-9]([-a-z0-9.:]*[a-z0-9])?$`)

// ParseInstance reads "project/zone/name".
func ParseInstance(s string) (Instance, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || !segment.MatchString(parts[0]) || !segment.MatchString(parts[1]) || !segment.MatchString(parts[2]) {
		return Instance{}, fmt.Errorf("got %q, want project/zone/name of an instance", s)
	}
	return Instance{parts[0], parts[1], parts[2]}, nil
}

func (i Instance) String() string { return i.Project + "/" + i.Zone + "/" + i.Name }

// path is the name of the instance in answers of the cloud.
func (i Instance) path() string {
	return "projects/" + i.Project + "/zones/" + i.Zone + "/instances/" + i.Name
}

// projectNumber is the other name that a project has.
var projectNumber = lazyregexp.New(`^[0-9]+$`)

// linkedBy reports whether the link in an answer leads to the instance. Another zone or project may
// have an instance of the same name. An answer may have no link.
func (i Instance) linkedBy(link string) bool {
	_, path, ok := strings.Cut(link, "/projects/")
	project, rest, _ := strings.Cut(path, "/")
	return link == "" || ok && rest == "zones/"+i.Zone+"/instances/"+i.Name &&
		(project == i.Project || projectNumber.MatchString(project) != projectNumber.MatchString(i.Project))
}

// zone is the path of what is in the instance's zone.
func (i Instance) zone() string {
	return "projects/" + url.PathEscape(i.Project) + "/zones/" + url.PathEscape(i.Zone)
}

func (i Instance) call(verb, method string) call {
	q := call{
		name: "instances." + verb, thing: fmt.Sprintf("%q", i), method: method,
		path: i.zone() + "/instances/" + url.PathEscape(i.Name),
	}
	if method == http.MethodPost {
		q.path += "/" + verb
	}
	if method != http.MethodGet {
		q.query = url.Values{"requestId": {uuid.NewString()}}
	}
	return q
}

// Status returns an instance's status, "" if there is no such instance.
func (c *Client) Status(ctx context.Context, i Instance) (string, error) {
	var out struct {
		Name   string `json:"name"`
		Status string `json:"status"`
		Link   string `json:"selfLink"`
	}
	err := c.do(ctx, i.call("get", http.MethodGet), &out)
	var e *cloudapi.Error
	// If the project or the zone is not found, that does not prove that the instance is gone.
	if errors.As(err, &e) && e.Code == http.StatusNotFound && strings.Contains(e.Message, "'"+i.path()+"'") {
		return "", nil
	}
	if err == nil && out.Status == "" {
		err = &cloudapi.Error{Call: "instances.get", Thing: fmt.Sprintf("%q", i), Reason: "unknown", Message: "the answer has no status: is the endpoint Compute Engine's"}
	}
	if err == nil && (out.Name != i.Name || !i.linkedBy(out.Link)) {
		err = &cloudapi.Error{Call: "instances.get", Thing: fmt.Sprintf("%q", i), Reason: "unknown", Message: fmt.Sprintf("the answer is about %q", cmp.Or(out.Link, out.Name))}
	}
	if err != nil {
		return "", err
	}
	return out.Status, nil
}

// Start starts an instance, and returns when it has started or can't start. An instance that runs
// stays as it is.
func (c *Client) Start(ctx context.Context, i Instance) error {
	return c.change(ctx, i, i.call("start", http.MethodPost), func(ctx context.Context, done bool) (bool, error) { return done, nil })
}

// Stop stops an instance, and returns when the status shows that it no longer runs. The operating
// system may take a while to end. An instance that is stopped stays as it is.
func (c *Client) Stop(ctx context.Context, i Instance) error {
	return c.change(ctx, i, i.call("stop", http.MethodPost), func(ctx context.Context, done bool) (bool, error) {
		status, err := c.Status(ctx, i)
		return done || status != Running, err
	})
}

// Reset resets an instance as a reset button does, and returns when that is done. The status stays
// RUNNING.
func (c *Client) Reset(ctx context.Context, i Instance) error {
	return c.change(ctx, i, i.call("reset", http.MethodPost), func(ctx context.Context, done bool) (bool, error) { return done, nil })
}

// Delete deletes an instance, and returns when the status shows that it no longer runs.
func (c *Client) Delete(ctx context.Context, i Instance) error {
	return c.change(ctx, i, i.call("delete", http.MethodDelete), func(ctx context.Context, done bool) (bool, error) {
		status, err := c.Status(ctx, i)
		return done || status != Running && status != Stopped, err
	})
}

// change asks for an operation, and waits until shown reports that the status of the instance shows
// the change.
func (c *Client) change(ctx context.Context, i Instance, q call, shown func(ctx context.Context, done bool) (bool, error)) error {
	var started operation
	if err := c.do(ctx, q, &started); err != nil {
		return err
	}
	var refused error
	seen, err := c.Poll(ctx, showTime, func(ctx context.Context) (bool, error) {
		o, err := c.operation(ctx, i, started.Name)
		if err != nil {
			return false, err
		}
		if refused = o.err(q); refused != nil {
			return true, nil
		}
		return shown(ctx, o.Status == "DONE")
	})
	switch {
	case err == nil && seen:
		return refused
	case ctx.Err() != nil:
		return err
	case err == nil:
		err = &cloudapi.Error{
			Call: q.name, Thing: q.thing, Reason: cloudapi.UnknownOutcome,
			Message: fmt.Sprintf("accepted, but after %s operation %q has not ended", showTime, started.Name),
		}
	}
	return &cloudapi.UnknownOutcomeError{Err: err}
}

// operation is a change that the cloud works on.
type operation struct {
	Name   string `json:"name"`
	Status string `json:"status"` // PENDING, RUNNING, DONE
	Target string `json:"targetLink"`
	Error  struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	} `json:"error"`
	HTTPErrorStatusCode int `json:"httpErrorStatusCode"`
}

func (c *Client) operation(ctx context.Context, i Instance, name string) (operation, error) {
	var o operation
	if !segment.MatchString(name) {
		return o, fmt.Errorf("the cloud's answer names operation %q, which can't be", name)
	}
	q := call{
		name: "zoneOperations.get", thing: fmt.Sprintf("%q", name), method: http.MethodGet,
		path: i.zone() + "/operations/" + url.PathEscape(name),
	}
	err := c.do(ctx, q, &o)
	if err == nil && (o.Name != name || !i.linkedBy(o.Target)) {
		err = &cloudapi.Error{Call: q.name, Thing: q.thing, Reason: "unknown", Message: fmt.Sprintf("the answer is about operation %q, of %q", o.Name, o.Target)}
	}
	return o, err
}

// err returns why an operation failed, such as a zone without capacity.
func (o operation) err(q call) error {
	if o.Status != "DONE" || len(o.Error.Errors) == 0 {
		return nil
	}
	first := o.Error.Errors[0]
	return &cloudapi.Error{Call: q.name, Thing: q.thing, Reason: first.Code, Code: o.HTTPErrorStatusCode, Message: first.Message}
}
