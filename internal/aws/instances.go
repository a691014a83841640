package aws

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
)

// The states of an instance that this package knows; it passes on any other.
const (
	Running = "running"
	Stopped = "stopped"
)

const (
	// pageSize is how many instances one description is asked about: a filter takes 200 values.
	pageSize = 200
	// showTime bounds how long EC2 may take to show a change that it has accepted.
	showTime = 2 * time.Minute
)

// Instances returns the states of the existing instances.
func (c *Client) Instances(ctx context.Context, region string, ids []string) (map[string]string, error) {
	states := map[string]string{}
	for page := range slices.Chunk(ids, pageSize) {
		// A filter skips instances that do not exist. With a list of IDs, the whole call would
		// fail.
		form := filter("instance-id", page)
		form.Set("MaxResults", "1000")
		for token := "-"; token != ""; {
			var out struct {
				Instances []struct {
					ID    string `xml:"instanceId"`
					State string `xml:"instanceState>name"`
				} `xml:"reservationSet>item>instancesSet>item"`
				Next string `xml:"nextToken"`
			}
			q := call{action: "DescribeInstances", region: region, thing: named("instance", page), form: form, set: "reservationSet"}
			if err := c.do(ctx, q, &out); err != nil {
				return nil, err
			}
			for _, instance := range out.Instances {
				if !slices.Contains(page, instance.ID) {
					return nil, q.fail(fmt.Errorf("the answer is about instance %q", instance.ID))
				}
				states[instance.ID] = instance.State
			}
			token = out.Next
			form.Set("NextToken", token)
		}
	}
	return states, nil
}

// StartInstance starts an instance, and returns when that is visible. A running instance is left as
// it is.
func (c *Client) StartInstance(ctx context.Context, region, id string) error {
	return c.change(ctx, "StartInstances", region, id, Stopped)
}

// StopInstance stops an instance, and returns when that is visible. A stopped instance is left as
// it is.
func (c *Client) StopInstance(ctx context.Context, region, id string) error {
	return c.change(ctx, "StopInstances", region, id, Running)
}

// RebootInstance asks the operating system of an instance to restart. If it does not respond, EC2
// restarts the instance. Its state in EC2 stays "running".
func (c *Client) RebootInstance(ctx context.Context, region, id string) error {
	if id == "" {
		return fmt.Errorf("the instance's ID is empty")
	}
	return c.do(ctx, call{action: "RebootInstances", region: region, thing: named("instance", []string{id}), form: url.Values{"InstanceId.1": {id}}}, nil)
}

// TerminateInstance terminates an instance, and returns when that is visible. A terminated instance
// is left as it is.
func (c *Client) TerminateInstance(ctx context.Context, region, id string) error {
	return c.change(ctx, "TerminateInstances", region, id, Running, Stopped)
}

// change starts, stops or terminates an instance: these calls can be repeated safely. It waits
// until EC2 shows that the instance has left its old state. Before that, a read would not show the
// change.
func (c *Client) change(ctx context.Context, action, region, id string, from ...string) error {
	if id == "" {
		return fmt.Errorf("the instance's ID is empty")
	}
	q := call{action: action, region: region, thing: named("instance", []string{id}), form: url.Values{"InstanceId.1": {id}}}
	if err := c.do(ctx, q, nil); err != nil {
		return err
	}
	return c.shown(ctx, q, func(ctx context.Context) (bool, error) {
		states, err := c.Instances(ctx, region, []string{id})
		return !slices.Contains(from, states[id]), err
	})
}

// shown waits until an accepted change is visible.
func (c *Client) shown(ctx context.Context, q call, look func(context.Context) (bool, error)) error {
	seen, err := c.Poll(ctx, showTime, look)
	if err == nil && !seen {
		err = q.fail(fmt.Errorf("accepted, but after %s EC2 still does not show it", showTime))
	}
	var changed *ChangedError
	if err == nil || ctx.Err() != nil || errors.As(err, &changed) {
		return err
	}
	return &cloudapi.UnknownOutcomeError{Err: err}
}

// filter returns the form of a filter with several values.
func filter(name string, values []string) url.Values {
	form := url.Values{"Filter.1.Name": {name}}
	for i, value := range values {
		form.Set(fmt.Sprintf("Filter.1.Value.%d", i+1), value)
	}
	return form
}

// named names the first few instances that a call is about.
func named(kind string, ids []string) string {
	if len(ids) == 1 {
		return fmt.Sprintf("%s %q", kind, ids[0])
	}
	if len(ids) > 3 {
		return fmt.Sprintf("%ss %q and %d more", kind, ids[:3], len(ids)-3)
	}
	return fmt.Sprintf("%ss %q", kind, ids)
}
