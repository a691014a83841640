package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
)

const userUsage = `ebb-sandbox user makes a user who has a client certificate and no rights but
those of --allow, and writes a kubeconfig for it. It returns when the rights
are in force. Made again under the same name, the user has the new rights only.

A rule is VERBS:RESOURCES[@NAMESPACE]. Verbs and resources are comma-separated
lists; a resource is NAME[.GROUP][/SUBRESOURCE]. A rule without @NAMESPACE holds
in --namespace, or in the whole cluster without it; @* is the whole cluster:

  ebb-sandbox user --kubeconfig admin.kubeconfig --name alice --out alice.kubeconfig \
    --namespace shop \
    --allow create,delete,get,list:networkpolicies.networking.k8s.io \
    --allow create:pods/exec \
    --allow get:namespaces@kube-system
`

// userLabel marks everything that was made for a user, in any namespace.
const userLabel = "sandbox/user"

type userOptions struct {
	kubeconfig string
	name       string
	out        string
	namespace  string
	allow      []string
}

func runUser(args []string, stdout io.Writer) error {
	var o userOptions
	flags := pflag.NewFlagSet("user", pflag.ContinueOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "the administrator's kubeconfig, as written by up: `FILE` (required)")
	flags.StringVar(&o.name, "name", "", "`NAME` of the user (required)")
	flags.StringVar(&o.out, "out", "", "write the user's kubeconfig to `FILE` (required)")
	flags.StringVar(&o.namespace, "namespace", "", "`NAMESPACE` of the rules that name none, and of the kubeconfig")
	flags.StringArrayVar(&o.allow, "allow", nil, "a `RULE`, as above; can be repeated (default: no rights)")
	if err := parseFlags(flags, args, userUsage, stdout); err != nil {
		return err
	}
	if err := requireFlags(flags, "kubeconfig", "name", "out"); err != nil {
		return err
	}
	if faults := validation.IsDNS1123Label(o.name); len(faults) > 0 {
		return &usageError{fmt.Errorf("user: --name is %q: %s", o.name, strings.Join(faults, "; "))}
	}
	rules := make([]rule, 0, len(o.allow))
	for _, text := range o.allow {
		r, err := parseRule(text, o.namespace)
		if err != nil {
			return withHint(&usageError{fmt.Errorf("user: --allow %q: %w", text, err)}, "ebb-sandbox user --help")
		}
		rules = append(rules, r)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	return makeUser(ctx, o, rules)
}

func makeUser(ctx context.Context, o userOptions, rules []rule) error {
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	if err := checkReplaceable(out); err != nil {
		return err
	}
	client, config, err := dial(o.kubeconfig)
	if err != nil {
		return err
	}
	cert, key, err := requestCertificate(ctx, client, o.name)
	if err != nil {
		return fmt.Errorf("get a certificate for user %q: %w", o.name, err)
	}
	if err := replaceRights(ctx, client, o.name, rules); err != nil {
		return fmt.Errorf("set the rights of user %q: %w", o.name, err)
	}
	namespace := o.namespace
	if namespace == "" {
		namespace = corev1.NamespaceDefault
	}
	content, err := encodeKubeconfig(o.name, namespace, config.Host, config.CAData, cert, key)
	if err != nil {
		return err
	}
	return writeKubeconfig(out, content)
}

// requestCertificate lets the cluster sign a client certificate, so that only the administrator's
// kubeconfig is needed.
func requestCertificate(ctx context.Context, client kubernetes.Interface, user string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: user}}, key)
	if err != nil {
		return nil, nil, err
	}
	requests := client.CertificatesV1().CertificateSigningRequests()
	request, err := requests.Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "sandbox-user-" + user + "-", Labels: map[string]string{userLabel: user}},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth, certificatesv1.UsageDigitalSignature},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, nil, err
	}
	request.Status.Conditions = append(request.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "SandboxUser", Message: "asked for by the administrator",
	})
	if _, err = requests.UpdateApproval(ctx, request.Name, request, metav1.UpdateOptions{}); err != nil {
		return nil, nil, err
	}
	err = pollUntil(ctx, func() (bool, error) {
		now, err := requests.Get(ctx, request.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		certPEM = now.Status.Certificate
		for _, c := range now.Status.Conditions {
			if c.Type == certificatesv1.CertificateFailed || c.Type == certificatesv1.CertificateDenied {
				return false, fmt.Errorf("the cluster says %s: %s", c.Type, c.Message)
			}
		}
		return len(certPEM) > 0, nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("signing request %q: %w", request.Name, err)
	}
	return certPEM, keyPEM, requests.Delete(ctx, request.Name, metav1.DeleteOptions{})
}

// replaceRights gives the user these rights, and removes all earlier ones.
func replaceRights(ctx context.Context, client kubernetes.Interface, user string, rules []rule) error {
	if err := removeRights(ctx, client, user); err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Name: "sandbox-user-" + user, Labels: map[string]string{userLabel: user}}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	create := metav1.CreateOptions{}
	for namespace, policy := range byNamespace(rules) {
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name}
		var err error
		if namespace == metav1.NamespaceAll {
			ref.Kind = "ClusterRole"
			if _, err = client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: policy}, create); err == nil {
				_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref}, create)
			}
		} else {
			if _, err = client.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: policy}, create); err == nil {
				_, err = client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref}, create)
			}
		}
		if err != nil {
			return err
		}
	}
	return awaitRights(ctx, client, user, rules)
}

func removeRights(ctx context.Context, client kubernetes.Interface, user string) error {
	rbac, list, remove := client.RbacV1(), metav1.ListOptions{LabelSelector: userLabel + "=" + user}, metav1.DeleteOptions{}
	if err := rbac.ClusterRoleBindings().DeleteCollection(ctx, remove, list); err != nil {
		return err
	}
	if err := rbac.ClusterRoles().DeleteCollection(ctx, remove, list); err != nil {
		return err
	}
	// A collection can be deleted only in a single namespace.
	roles, err := rbac.Roles(metav1.NamespaceAll).List(ctx, list)
	if err != nil {
		return err
	}
	for _, role := range roles.Items {
		if err := rbac.RoleBindings(role.Namespace).DeleteCollection(ctx, remove, list); err != nil {
			return err
		}
		if err := rbac.Roles(role.Namespace).DeleteCollection(ctx, remove, list); err != nil {
			return err
		}
	}
	return nil
}

// awaitRights waits until the API server grants the new rights: its authorizer reads new roles
// after a short delay.
func awaitRights(ctx context.Context, client kubernetes.Interface, user string, rules []rule) error {
	for _, r := range rules {
		for _, question := range r.questions() {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &question}}
			err := pollUntil(ctx, func() (bool, error) {
				answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
				return err == nil && answer.Status.Allowed, err
			})
			if err != nil {
				return fmt.Errorf("%s is not granted: %w", r, err)
			}
		}
	}
	return nil
}

// pollUntil calls ask until it returns ok or an error, or ctx ends.
func pollUntil(ctx context.Context, ask func() (ok bool, err error)) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if ok, err := ask(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
