package cloudtest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// The one region and the only credentials of [AWS].
const (
	Region    = "eu-test-1"
	accessKey = "AKIATESTTESTTESTTEST"
	secret    = "a/secret+that/must+never/be+seen"
	session   = "a-session-token-that-must-never-be-seen"
)

// How many looks late things show, and how many a machine needs to stop or start.
const (
	lateLooks = 3
	slowLooks = 4
)

// AWS plays EC2.
type AWS struct {
	script
	server *httptest.Server

	state     sync.Mutex
	instances map[string]*machine
	lists     map[string]*acl
	subnets   map[string]*lagging[association]
	volumes   map[string]*lagging[attached]
	tokens    map[string]string // ID of the list made, by client token
	next      int
}

type machine struct {
	lagging[string]
	target string
	left   int // looks until it is there
	node   node
}

// NewAWS starts EC2, with a VPC vpc-1 whose default list is acl-default.
func NewAWS(t testing.TB) *AWS {
	t.Helper()
	a := &AWS{
		instances: map[string]*machine{}, lists: map[string]*acl{}, subnets: map[string]*lagging[association]{}, tokens: map[string]string{},
		volumes: map[string]*lagging[attached]{},
	}
	a.AddACL("vpc-1", "acl-default")
	a.lists["acl-default"].byAWS = true
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.serve(w, r, actionOf, a.answer)
	}))
	t.Cleanup(a.server.Close)
	return a
}

// Env is what a program has to find in its environment.
func (a *AWS) Env() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_EC2": a.server.URL, "AWS_REGION": Region,
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": session,
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	}
}

// Secrets are what nobody may print.
func (a *AWS) Secrets() []string { return []string{secret, session} }

// AddInstance puts a machine there.
func (a *AWS) AddInstance(id, state string) {
	a.state.Lock()
	defer a.state.Unlock()
	a.instances[id] = &machine{lagging: lagging[string]{now: state}}
}

// State returns what a machine is, or will be when it has finished to start or stop.
func (a *AWS) State(id string) string {
	a.state.Lock()
	defer a.state.Unlock()
	m := a.instances[id]
	switch {
	case m == nil:
		return ""
	case m.left > 0:
		return m.target
	}
	return m.now
}

// Throttle answers as EC2 does to too many requests.
func Throttle(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	refuse(w, http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
}

// Deny answers as EC2 does to one who lacks a right.
func Deny(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	refuse(w, http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: abcdef0123456789")
}

// Ignore says that a request was accepted, and does nothing.
func Ignore(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	// The client may have gone: that is its business.
	fmt.Fprint(w, `<?xml version="1.0"?><Response><requestId>r-1</requestId><return>true</return></Response>`)
}

// InternalError answers as EC2 does when it is in trouble.
func InternalError(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	refuse(w, http.StatusInternalServerError, "InternalError", "An internal error has occurred")
}

var (
	_ sandboxtest.Fault = Throttle
	_ sandboxtest.Fault = Deny
	_ sandboxtest.Fault = Ignore
	_ sandboxtest.Fault = InternalError
)

func actionOf(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get("Action")
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	// The client may have gone: that is its business.
	fmt.Fprintf(w, "<?xml version=\"1.0\"?><Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>r-1</RequestID></Response>", escape(code), escape(message))
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a builder takes everything
	}
	return b.String()
}

// refusal is an answer that is an error.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.code }

func (a *AWS) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	if err := checkSignature(r, body, time.Now()); err != nil {
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", err.Error())
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Version") != "2016-11-15" {
		refuse(w, http.StatusBadRequest, "InvalidParameterValue", "no form of version 2016-11-15")
		return
	}
	handlers := map[string]func(url.Values) (string, error){
		"DescribeInstances": a.describeInstances,
		"StartInstances":    func(f url.Values) (string, error) { return a.change(f, "pending", "running", "stopped") },
		"StopInstances":     func(f url.Values) (string, error) { return a.change(f, "stopping", "stopped", "running") },
		"RebootInstances":   a.rebootInstances,
		"TerminateInstances": func(f url.Values) (string, error) {
			return a.change(f, "shutting-down", "terminated", "running", "stopped")
		},
		"DescribeVolumes":              a.describeVolumes,
		"DetachVolume":                 a.detachVolume,
		"AttachVolume":                 a.attachVolume,
		"ModifyInstanceAttribute":      a.modifyInstance,
		"DescribeNetworkAcls":          a.describeACLs,
		"CreateNetworkAcl":             a.createACL,
		"ReplaceNetworkAclAssociation": a.replaceAssociation,
		"DeleteNetworkAcl":             a.deleteACL,
	}
	handler, ok := handlers[form.Get("Action")]
	if !ok {
		refuse(w, http.StatusBadRequest, "InvalidAction", "no such action")
		return
	}
	a.state.Lock()
	defer a.state.Unlock()
	content, err := handler(form)
	var refused *refusal
	if errors.As(err, &refused) {
		refuse(w, http.StatusBadRequest, refused.code, refused.message)
		return
	}
	fmt.Fprintf(w, `<?xml version="1.0"?><%[1]sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId>%[2]s</%[1]sResponse>`, form.Get("Action"), content)
}

// filters reads Filter.N.Name and Filter.N.Value.M.
func filters(form url.Values) map[string][]string {
	found := map[string][]string{}
	for i := 1; form.Has(fmt.Sprintf("Filter.%d.Name", i)); i++ {
		name := form.Get(fmt.Sprintf("Filter.%d.Name", i))
		for j := 1; form.Has(fmt.Sprintf("Filter.%d.Value.%d", i, j)); j++ {
			found[name] = append(found[name], form.Get(fmt.Sprintf("Filter.%d.Value.%d", i, j)))
		}
	}
	return found
}

// page cuts a listing into pages of two, so that nobody forgets to turn them.
func page(items []string, form url.Values) (string, error) {
	from := 0
	if token := form.Get("NextToken"); token != "" {
		var err error
		if from, err = strconv.Atoi(token); err != nil || from > len(items) {
			return "", &refusal{"InvalidNextToken", token}
		}
	}
	to := min(from+2, len(items))
	next := ""
	if to < len(items) {
		next = fmt.Sprintf("<nextToken>%d</nextToken>", to)
	}
	return strings.Join(items[from:to], "") + "|" + next, nil
}

// cutPage is page with what belongs into a set, and what comes after it.
func cutPage(items []string, form url.Values) (set, next string, err error) {
	content, err := page(items, form)
	set, next, _ = strings.Cut(content, "|")
	return set, next, err
}

func (a *AWS) describeInstances(form url.Values) (string, error) {
	var items []string
	ids := filters(form)["instance-id"]
	for _, id := range slices.Sorted(maps.Keys(a.instances)) {
		if !slices.Contains(ids, id) {
			continue
		}
		m := a.instances[id]
		state := m.look()
		if m.left > 0 && m.looks == 0 {
			if m.left--; m.left == 0 {
				m.now = m.target
				if m.now == "running" {
					m.node.boots++
				}
			}
		}
		items = append(items, fmt.Sprintf("<item><instancesSet><item><instanceId>%s</instanceId><instanceState><code>0</code><name>%s</name></instanceState><rootDeviceName>/dev/xvda</rootDeviceName></item></instancesSet></item>", id, state))
	}
	content, err := page(items, form)
	set, next, _ := strings.Cut(content, "|")
	return "<reservationSet>" + set + "</reservationSet>" + next, err
}

// rebootInstances shows nowhere in EC2.
func (a *AWS) rebootInstances(form url.Values) (string, error) {
	id := form.Get("InstanceId.1")
	switch m := a.instances[id]; {
	case m == nil:
		return "", &refusal{"InvalidInstanceID.NotFound", fmt.Sprintf("The instance ID '%s' does not exist", id)}
	case m.now != "running":
		return "", &refusal{"IncorrectInstanceState", fmt.Sprintf("The instance '%s' is not in a state from which it can be rebooted.", id)}
	default:
		m.node.reboot()
	}
	return "<return>true</return>", nil
}

// change starts, stops or ends: one that is on its way there stays on it.
func (a *AWS) change(form url.Values, via, to string, from ...string) (string, error) {
	id := form.Get("InstanceId.1")
	m, ok := a.instances[id]
	switch {
	case !ok:
		return "", &refusal{"InvalidInstanceID.NotFound", fmt.Sprintf("The instance ID '%s' does not exist", id)}
	case m.now == via || m.now == to:
	case slices.Contains(from, m.now):
		m.set(via, lateLooks)
		m.target, m.left = to, slowLooks
	default:
		return "", &refusal{"IncorrectInstanceState", fmt.Sprintf("The instance '%s' is not in a state from which it can be changed.", id)}
	}
	return fmt.Sprintf("<instancesSet><item><instanceId>%s</instanceId><currentState><name>%s</name></currentState></item></instancesSet>", id, m.now), nil
}

// id makes a new one. The lock is held, or nobody else is there yet.
func (a *AWS) id(kind string) string {
	a.next++
	return fmt.Sprintf("%s-%04d", kind, a.next)
}

// Names returns the machines that are there.
func (a *AWS) Names() []string {
	a.state.Lock()
	defer a.state.Unlock()
	return slices.Sorted(maps.Keys(a.instances))
}
