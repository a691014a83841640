package cloudtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
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
	tokens    map[string]string // ID of the list made, by client token
	next      int
}

type machine struct {
	lagging[string]
	target string
	left   int // looks until it is there
}

type acl struct {
	id, vpc string
	byAWS   bool // the VPC's default
	tags    map[string]string
	hidden  int // looks that don't see it yet
}

type association struct{ id, list string }

// NewAWS starts EC2, with a VPC vpc-1 whose default list is acl-default.
func NewAWS(t testing.TB) *AWS {
	t.Helper()
	a := &AWS{
		instances: map[string]*machine{}, lists: map[string]*acl{}, subnets: map[string]*lagging[association]{}, tokens: map[string]string{},
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

// AddACL puts a network ACL there, which is somebody else's.
func (a *AWS) AddACL(vpc, id string) {
	a.state.Lock()
	defer a.state.Unlock()
	a.lists[id] = &acl{id: id, vpc: vpc, tags: map[string]string{"Name": "theirs-" + id}}
}

// HideACL keeps a network ACL from showing for some looks, as a new one does.
func (a *AWS) HideACL(id string, tags map[string]string, looks int) {
	a.state.Lock()
	defer a.state.Unlock()
	a.lists[id].tags, a.lists[id].hidden = tags, looks
}

// AddSubnet puts a subnet there.
func (a *AWS) AddSubnet(subnet, list string) {
	a.state.Lock()
	defer a.state.Unlock()
	a.subnets[subnet] = &lagging[association]{now: association{a.id("aclassoc"), list}}
}

// Replace gives a subnet another list, as somebody else would: it shows at once.
func (a *AWS) Replace(subnet, list string) {
	a.state.Lock()
	defer a.state.Unlock()
	a.subnets[subnet].set(association{a.id("aclassoc"), list}, 0)
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

// ACL returns the list of a subnet: its ID, or its tag Name if it is one that was made.
func (a *AWS) ACL(subnet string) string {
	a.state.Lock()
	defer a.state.Unlock()
	list := a.lists[a.subnets[subnet].now.list]
	if list.tags["Name"] == "theirs-"+list.id {
		return list.id
	}
	return list.tags["Name"]
}

// ACLs returns the IDs of those that are there, or the tag Name of those that were made.
func (a *AWS) ACLs() []string {
	a.state.Lock()
	defer a.state.Unlock()
	var found []string
	for id, list := range a.lists {
		if list.tags["Name"] != "theirs-"+id {
			id = list.tags["Name"]
		}
		found = append(found, id)
	}
	slices.Sort(found)
	return found
}

// Throttle answers as EC2 does to too many requests.
func Throttle(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	refuse(w, http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
}

// Deny answers as EC2 does to one who lacks a right.
func Deny(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	refuse(w, http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation. Encoded authorization failure message: abcdef0123456789")
}

// InternalError answers as EC2 does when it is in trouble.
func InternalError(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	refuse(w, http.StatusInternalServerError, "InternalError", "An internal error has occurred")
}

var (
	_ sandboxtest.Fault = Throttle
	_ sandboxtest.Fault = Deny
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
		"DescribeInstances":            a.describeInstances,
		"StartInstances":               func(f url.Values) (string, error) { return a.change(f, "stopped", "pending", "running") },
		"StopInstances":                func(f url.Values) (string, error) { return a.change(f, "running", "stopping", "stopped") },
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
			}
		}
		items = append(items, fmt.Sprintf("<item><instancesSet><item><instanceId>%s</instanceId><instanceState><code>0</code><name>%s</name></instanceState></item></instancesSet></item>", id, state))
	}
	content, err := page(items, form)
	set, next, _ := strings.Cut(content, "|")
	return "<reservationSet>" + set + "</reservationSet>" + next, err
}

// change starts or stops: one that is on its way there stays on it.
func (a *AWS) change(form url.Values, from, via, to string) (string, error) {
	id := form.Get("InstanceId.1")
	m, ok := a.instances[id]
	switch {
	case !ok:
		return "", &refusal{"InvalidInstanceID.NotFound", fmt.Sprintf("The instance ID '%s' does not exist", id)}
	case m.now == via || m.now == to:
	case m.now == from:
		m.set(via, lateLooks)
		m.target, m.left = to, slowLooks
	default:
		return "", &refusal{"IncorrectInstanceState", fmt.Sprintf("The instance '%s' is not in a state from which it can be changed.", id)}
	}
	return fmt.Sprintf("<instancesSet><item><instanceId>%s</instanceId><currentState><name>%s</name></currentState></item></instancesSet>", id, m.now), nil
}

func (a *AWS) describeACLs(form url.Values) (string, error) {
	wanted := filters(form)
	shown := map[string]association{}
	for subnet, s := range a.subnets {
		shown[subnet] = s.look()
	}
	var items []string
	for _, id := range slices.Sorted(maps.Keys(a.lists)) {
		list := a.lists[id]
		if list.hidden > 0 {
			list.hidden--
			continue
		}
		have := map[string][]string{"vpc-id": {list.vpc}, "network-acl-id": {id}}
		tags, associations := "", ""
		for _, key := range slices.Sorted(maps.Keys(list.tags)) {
			have["tag:"+key] = []string{list.tags[key]}
			tags += fmt.Sprintf("<item><key>%s</key><value>%s</value></item>", escape(key), escape(list.tags[key]))
		}
		for _, subnet := range slices.Sorted(maps.Keys(shown)) {
			if shown[subnet].list == id {
				have["association.subnet-id"] = append(have["association.subnet-id"], subnet)
				associations += fmt.Sprintf("<item><networkAclAssociationId>%s</networkAclAssociationId><networkAclId>%s</networkAclId><subnetId>%s</subnetId></item>", shown[subnet].id, id, subnet)
			}
		}
		matches := true
		for name, values := range wanted {
			matches = matches && slices.ContainsFunc(values, func(v string) bool { return slices.Contains(have[name], v) })
		}
		if matches {
			items = append(items, fmt.Sprintf("<item><networkAclId>%s</networkAclId><vpcId>%s</vpcId><default>%t</default><tagSet>%s</tagSet><associationSet>%s</associationSet></item>", id, list.vpc, list.byAWS, tags, associations))
		}
	}
	content, err := page(items, form)
	set, next, _ := strings.Cut(content, "|")
	return "<networkAclSet>" + set + "</networkAclSet>" + next, err
}

func (a *AWS) createACL(form url.Values) (string, error) {
	token := form.Get("ClientToken")
	id, again := a.tokens[token]
	if !again {
		if !slices.ContainsFunc(slices.Collect(maps.Values(a.lists)), func(l *acl) bool { return l.vpc == form.Get("VpcId") }) {
			return "", &refusal{"InvalidVpcID.NotFound", fmt.Sprintf("The vpc ID '%s' does not exist", form.Get("VpcId"))}
		}
		id = a.id("acl")
		list := &acl{id: id, vpc: form.Get("VpcId"), tags: map[string]string{}, hidden: lateLooks}
		for i := 1; form.Has(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", i)); i++ {
			list.tags[form.Get(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", i))] = form.Get(fmt.Sprintf("TagSpecification.1.Tag.%d.Value", i))
		}
		a.lists[id] = list
		if token != "" {
			a.tokens[token] = id
		}
	}
	return fmt.Sprintf("<networkAcl><networkAclId>%s</networkAclId></networkAcl>", id), nil
}

func (a *AWS) replaceAssociation(form url.Values) (string, error) {
	if a.lists[form.Get("NetworkAclId")] == nil {
		return "", &refusal{"InvalidNetworkAclID.NotFound", "no such list"}
	}
	for _, s := range a.subnets {
		if s.now.id == form.Get("AssociationId") {
			s.set(association{a.id("aclassoc"), form.Get("NetworkAclId")}, lateLooks)
			return "<newAssociationId>" + s.now.id + "</newAssociationId>", nil
		}
	}
	return "", &refusal{"InvalidAssociationID.NotFound", fmt.Sprintf("The association ID '%s' does not exist", form.Get("AssociationId"))}
}

func (a *AWS) deleteACL(form url.Values) (string, error) {
	id := form.Get("NetworkAclId")
	if a.lists[id] == nil {
		return "", &refusal{"InvalidNetworkAclID.NotFound", fmt.Sprintf("The networkAcl ID '%s' does not exist", id)}
	}
	for _, s := range a.subnets {
		if s.now.list == id {
			return "", &refusal{"DependencyViolation", fmt.Sprintf("The networkAcl '%s' has dependencies and cannot be deleted.", id)}
		}
	}
	delete(a.lists, id)
	return "<return>true</return>", nil
}

// id makes a new one. The lock is held, or nobody else is there yet.
func (a *AWS) id(kind string) string {
	a.next++
	return fmt.Sprintf("%s-%04d", kind, a.next)
}

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

// Names returns the machines that are there.
func (a *AWS) Names() []string {
	a.state.Lock()
	defer a.state.Unlock()
	return slices.Sorted(maps.Keys(a.instances))
}
