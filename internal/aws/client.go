package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// Options configure [Open].
type Options struct {
	// Patience is how long to repeat requests while EC2 gives no usable answer, in each outage.
	// Default 5 minutes. TotalPatience limits all outages together; 0 means no limit.
	Patience, TotalPatience time.Duration
	// Logger logs waits. Default: no log.
	Logger *slog.Logger
	// UserAgent names the program in the audit trail of the account.
	UserAgent string
	// Load reads the operator's configuration. It is called at the first call that needs it, and
	// again until it succeeds. Default: the chain of the SDK, which is environment, profiles and
	// instance roles.
	Load func(context.Context) (sdk.Config, error)
}

// Client is a client of EC2. It is safe for concurrent use.
type Client struct {
	*cloudapi.Asker
	userAgent string
	read      func(context.Context) (sdk.Config, error)
	signer    *v4.Signer

	mu     sync.Mutex
	config *sdk.Config // nil until it was read
}

// apiVersion is the version of the Query API. There has been no later one.
const apiVersion = "2016-11-15"

// Open returns a client. It reads nothing and sends nothing.
func Open(o Options) *Client {
	if o.Load == nil {
		o.Load = DefaultConfig
	}
	return &Client{
		Asker:     cloudapi.NewAsker("EC2", cloudapi.Options{Patience: o.Patience, TotalPatience: o.TotalPatience, Logger: o.Logger}),
		userAgent: o.UserAgent,
		read:      o.Load,
		signer:    v4.NewSigner(),
	}
}

// DefaultConfig reads the operator's configuration where AWS's own tools find it.
func DefaultConfig(ctx context.Context) (sdk.Config, error) { return config.LoadDefaultConfig(ctx) }

// load reads the operator's configuration, and keeps it after the first success.
func (c *Client) load(ctx context.Context) (*sdk.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config != nil {
		return c.config, nil
	}
	loaded, err := c.read(ctx)
	if err != nil {
		return nil, &cloudapi.Error{
			Call: "aws configuration", Reason: cloudapi.Credentials, Message: redact(err), Err: errors.New(redact(err)),
			Hint: "check AWS_PROFILE and the files ~/.aws/config and ~/.aws/credentials",
		}
	}
	if loaded.HTTPClient == nil { // set only because of AWS_CA_BUNDLE
		loaded.HTTPClient = awshttp.NewBuildableClient()
	}
	c.config = &loaded
	return c.config, nil
}

// Region returns the operator's region.
func (c *Client) Region(ctx context.Context) (string, error) { return c.region(ctx, "") }

// regionName matches what can be part of a host name.
var regionName = lazyregexp.New(`^[a-z0-9]+(-[a-z0-9]+)*$`)

func (c *Client) region(ctx context.Context, region string) (string, error) {
	if region == "" {
		cfg, err := c.load(ctx)
		if err != nil {
			return "", err
		}
		region = cfg.Region
	}
	switch {
	case region == "":
		return "", &cloudapi.Error{
			Call: "aws configuration", Reason: "NoRegion", Message: "no region: tried AWS_REGION and the profile's region",
			Hint: "set AWS_REGION",
		}
	case !regionName.MatchString(region):
		return "", fmt.Errorf("got %q, want the name of a region, such as eu-west-1", region)
	}
	return region, nil
}

// endpoint returns the URL of EC2 in a region, or the one that the operator has configured.
func endpoint(ctx context.Context, cfg *sdk.Config, region string) (string, error) {
	sources := cfg.ConfigSources
	if ignore, ok, err := config.GetIgnoreConfiguredEndpoints(ctx, sources); err == nil && ok && ignore {
		sources = nil
	}
	for _, source := range sources {
		provider, ok := source.(interface {
			GetServiceBaseEndpoint(ctx context.Context, service string) (string, bool, error)
		})
		if !ok {
			continue
		}
		switch found, ok, err := provider.GetServiceBaseEndpoint(ctx, "EC2"); {
		case err != nil:
			return "", err
		case ok:
			return found, nil
		}
	}
	if cfg.BaseEndpoint != nil {
		return *cfg.BaseEndpoint, nil
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://ec2." + region + "." + domain, nil
}

// call is one call of the Query API.
type call struct {
	action string
	region string
	thing  string // for errors
	form   url.Values
	set    string // the element of the answer with the data, "" if there is none
	// landed finds out whether a change without an answer was made. Nil: the call can be repeated
	// safely.
	landed func(context.Context) (bool, error)
}

// do makes a call and decodes its answer into out, which may be nil.
func (c *Client) do(ctx context.Context, q call, out any) error {
	region, err := c.region(ctx, q.region)
	if err != nil {
		return err
	}
	q.region = region
	return c.Ask(ctx, func(ctx context.Context) error { return c.attempt(ctx, q, out) }, q.landed)
}

// attempt makes one signed request.
func (c *Client) attempt(ctx context.Context, q call, out any) error {
	cfg, err := c.load(ctx)
	if err != nil {
		return err
	}
	form := url.Values{"Action": {q.action}, "Version": {apiVersion}}
	for key, values := range q.form {
		form[key] = values
	}
	body := []byte(form.Encode())
	target, err := endpoint(ctx, cfg, q.region)
	if err != nil {
		return q.fail(err)
	}
	target = strings.TrimSuffix(target, "/") + "/"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil || req.URL.Host == "" {
		return q.fail(fmt.Errorf("the endpoint %q is no URL: check AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL", target))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("User-Agent", c.userAgent)
	credentials, err := c.credentials(ctx, cfg)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, req, hex.EncodeToString(digest[:]), "ec2", q.region, time.Now()); err != nil {
		return q.fail(err)
	}
	answer, err := cloudapi.Send(cfg.HTTPClient, req)
	if err != nil {
		return cloudapi.Name(err, q.action, q.thing)
	}
	if answer.Status != http.StatusOK {
		return q.refusal(answer)
	}
	if err := q.checkRoot(answer.Body); err != nil {
		return &cloudapi.Retry{Err: err, Sent: true}
	}
	if out == nil {
		return nil
	}
	if err := xml.Unmarshal(answer.Body, out); err != nil {
		// Something between here and EC2 damaged the answer. If it was a change, the change is
		// made.
		return &cloudapi.Retry{Err: fmt.Errorf("the answer can't be read: %w", err), Sent: true}
	}
	return nil
}

// checkRoot refuses what is no answer to the call. The page of a portal has neither instances nor
// network ACLs, and must not count as an empty list. An answer without the list must not either:
// EC2 sends an empty list if there is nothing.
func (q call) checkRoot(body []byte) error {
	root, has := "", q.set == ""
	for d := xml.NewDecoder(bytes.NewReader(body)); !has || root == ""; {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && root != "" {
			return fmt.Errorf("the answer has no %s: something between here and EC2 answered", q.set)
		}
		if err != nil {
			return fmt.Errorf("the answer can't be read: %w", err)
		}
		element, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case root == "":
			root = element.Name.Local
			if root != q.action+"Response" && (q.set != "" || root != "Response") {
				return fmt.Errorf("the answer is %q, want %q: something between here and EC2 answered", root, q.action+"Response")
			}
		default:
			has = has || element.Name.Local == q.set
		}
	}
	return nil
}

// credentials returns the credentials of the operator's chain. Its providers cache them until they
// expire.
func (c *Client) credentials(ctx context.Context, cfg *sdk.Config) (sdk.Credentials, error) {
	found, err := cfg.Credentials.Retrieve(ctx)
	if err == nil {
		return found, nil
	}
	if ctx.Err() != nil {
		return found, &cloudapi.Retry{Err: errors.New("the credentials did not come in time")}
	}
	profile := os.Getenv("AWS_PROFILE")
	if profile == "" {
		profile = "default"
	}
	return found, &cloudapi.Error{
		Call: "aws credentials", Reason: cloudapi.Credentials, Err: errors.New(redact(err)),
		Message: fmt.Sprintf("none found: tried AWS_ACCESS_KEY_ID, web identity, profile %q of ~/.aws (keys, SSO, process, role), container and instance role: %s", profile, redact(err)),
		Hint:    "log in: aws sso login, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; check: aws sts get-caller-identity",
	}
}

// processOutput matches what the SDK quotes if a credential_process printed something unexpected:
// it may be the secret.
var processOutput = lazyregexp.New(`(?s)parse failed of process output:.*`)

// redact returns the text of an error without what may be secret.
func redact(err error) string {
	return reply.OneLine(processOutput.ReplaceAllString(err.Error(), "the output of credential_process is not what it should be"))
}

// fail returns an error for a request that was not sent.
func (q call) fail(err error) error {
	return &cloudapi.Error{Call: q.action, Thing: q.thing, Reason: "Unknown", Message: err.Error(), Err: err}
}

// Errors after which another attempt makes sense, although their status does not say so. The
// request was not carried out.
var throttled = map[string]bool{
	"RequestLimitExceeded": true, "Throttling": true, "ThrottlingException": true, "RequestThrottled": true,
	"EC2ThrottledException": true, "RequestThrottledException": true, "TooManyRequestsException": true,
}

// Errors that another attempt does not fix, although their status is that of a server problem.
var final = map[string]bool{"InsufficientInstanceCapacity": true, "InsufficientHostCapacity": true, "InsufficientReservedInstanceCapacity": true}

// refusal reads the answer of a failed request.
func (q call) refusal(answer *cloudapi.Answer) error {
	var said struct {
		Code    string `xml:"Errors>Error>Code"`
		Message string `xml:"Errors>Error>Message"`
	}
	e := &cloudapi.Error{Call: q.action, Thing: q.thing, Code: answer.Status, Reason: "Unknown"}
	// The error of a proxy is not XML. Then only the status is known.
	if err := xml.NewDecoder(bytes.NewReader(answer.Body)).Decode(&said); (err == nil || errors.Is(err, io.EOF)) && said.Code != "" {
		e.Reason, e.Message = said.Code, said.Message
	} else {
		e.Message = http.StatusText(answer.Status)
	}
	switch e.Reason {
	case "AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException":
		e.Hint = "check the credentials and this machine's clock: aws sts get-caller-identity"
	case "ExpiredToken", "RequestExpired", "ExpiredTokenException":
		e.Hint = "log in again: aws sso login; and check this machine's clock"
	case "UnauthorizedOperation":
		e.Hint = "allow ec2:" + q.action + " to the role or user of aws sts get-caller-identity"
		// The encoded part is long, and only the administrator of the account can decode it.
		e.Message, _, _ = strings.Cut(e.Message, " Encoded authorization failure message")
	}
	again, sent := cloudapi.Transient(answer.Status)
	switch {
	case throttled[e.Reason]:
		return &cloudapi.Retry{Err: e, After: answer.After}
	case again && !final[e.Reason]:
		return &cloudapi.Retry{Err: e, After: answer.After, Sent: sent}
	}
	return e
}
