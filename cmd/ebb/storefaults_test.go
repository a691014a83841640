package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// refuse has a policy refuse what is done with Secrets.
func (h *faultedRun) refuse(operations ...admissionv1.OperationType) {
	h.Helper()
	meta, policies, bindings := metav1.ObjectMeta{Name: h.store}, h.admin.AdmissionregistrationV1().ValidatingAdmissionPolicies(), h.admin.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	_, err := policies.Create(h.Context(), &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: operations, Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"secrets"}},
		}}}},
		Validations: []admissionv1.Validation{{Expression: "false", Message: "no Secrets here"}},
	}}, metav1.CreateOptions{})
	h.check(err)
	_, err = bindings.Create(h.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: h.store, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": h.store}}},
	}}, metav1.CreateOptions{})
	h.check(err)
	h.Cleanup(func() {
		ctx := context.WithoutCancel(h.Context())
		if err := errors.Join(bindings.Delete(ctx, h.store, metav1.DeleteOptions{}), policies.Delete(ctx, h.store, metav1.DeleteOptions{})); err != nil && !apierrors.IsNotFound(err) {
			h.Error(err)
		}
	})
	h.tries(operations[0], true)
}

// permit takes the policy back.
func (h *faultedRun) permit() {
	h.Helper()
	h.check(h.admin.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(h.Context(), h.store, metav1.DeleteOptions{}))
	h.tries(admissionv1.Update, false)
}

// tries waits until something with Secrets is refused, or is not.
func (h *faultedRun) tries(operation admissionv1.OperationType, refused bool) {
	h.Helper()
	secrets, dry := h.admin.CoreV1().Secrets(h.store), []string{metav1.DryRunAll}
	var err error
	if !eventually(func() bool {
		if operation == admissionv1.Create {
			_, err = secrets.Create(h.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}, metav1.CreateOptions{DryRun: dry})
		} else {
			list, listErr := secrets.List(h.Context(), metav1.ListOptions{Limit: 1})
			h.check(listErr)
			_, err = secrets.Patch(h.Context(), list.Items[0].Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"probe":"x"}}}`), metav1.PatchOptions{DryRun: dry})
		}
		return (err != nil) == refused
	}) {
		h.Fatalf("%s of a Secret: got %v, want it refused: %v", operation, err, refused)
	}
}

// openGate lets the scenario go on.
func (h *faultedRun) openGate() {
	h.Helper()
	_, err := h.client.Resource(kinds["configmaps"]).Namespace(h.namespace).Create(h.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "gate"},
	}}, metav1.CreateOptions{})
	h.check(err)
}

func (h *faultedRun) closeGate() {
	h.Helper()
	h.check(h.client.Resource(kinds["configmaps"]).Namespace(h.namespace).Delete(h.Context(), "gate", metav1.DeleteOptions{}))
}

// storeVerbs are what the store does with its objects, as deploy/ allows it.
var storeVerbs = []string{"create", "delete", "get", "list", "patch"}

// rights are verbs by resource.
type rights map[string][]string

func allRights() rights { return rights{"secrets": storeVerbs, "leases": storeVerbs} }

// allow gives the runner rights in the store's namespace, and no others.
func (h *faultedRun) allow(resources ...string) {
	h.Helper()
	given := rights{}
	for _, name := range resources {
		given[name] = storeVerbs
	}
	h.grant(given)
}

// forbid takes one right from all of those in the store's namespace.
func (h *faultedRun) forbid(verb, resource string) {
	h.Helper()
	given := allRights()
	given[resource] = slices.DeleteFunc(slices.Clone(storeVerbs), func(other string) bool { return other == verb })
	h.grant(given)
}

// storeGroups are the API groups of what the store has.
var storeGroups = map[string]string{"secrets": "", "leases": "coordination.k8s.io"}

// grant gives the runner rights in the store's namespace, and no others, and waits until the API
// server goes by them.
func (h *faultedRun) grant(given rights) {
	h.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "store"}}
	for name, verbs := range given {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{storeGroups[name]}, Resources: []string{name}, Verbs: verbs})
	}
	roles := h.admin.RbacV1().Roles(h.store)
	_, err := roles.Update(h.Context(), role, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = roles.Create(h.Context(), role, metav1.CreateOptions{})
	}
	h.check(err)
	for name, group := range storeGroups {
		for _, verb := range storeVerbs {
			if want := slices.Contains(given[name], verb); !eventually(func() bool { return h.may(verb, group, name) == want }) {
				h.Fatalf("%s of %s: want it allowed: %v", verb, name, want)
			}
		}
	}
}

// may asks the API server whether the runner has a right.
func (h *faultedRun) may(verb, group, resource string) bool {
	h.Helper()
	answer, err := h.admin.AuthorizationV1().SubjectAccessReviews().Create(h.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: h.store, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: h.store, Verb: verb, Group: group, Resource: resource,
		}},
	}, metav1.CreateOptions{})
	h.check(err)
	return answer.Status.Allowed
}

// outlive waits until the holder of a Lease that can't be renewed stops.
func (h *faultedRun) outlive() {
	since := time.Now()
	eventually(func() bool { return time.Since(since) > 6*time.Second })
}

func (h *faultedRun) deleteNamespace() {
	h.Helper()
	h.check(h.admin.CoreV1().Namespaces().Delete(h.Context(), h.store, metav1.DeleteOptions{}))
	if !eventually(func() bool {
		_, err := h.admin.CoreV1().Namespaces().Get(h.Context(), h.store, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}) {
		h.Fatal("the namespace does not go")
	}
}

func (h *faultedRun) deleteSecrets() {
	h.check(h.admin.CoreV1().Secrets(h.store).DeleteCollection(h.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "ebb.dev/store"}))
}

func (h *faultedRun) labelSecrets(state string) {
	h.Helper()
	list, err := h.admin.CoreV1().Secrets(h.store).List(h.Context(), metav1.ListOptions{LabelSelector: "ebb.dev/store=version-file"})
	h.check(err)
	for _, secret := range list.Items {
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]string{"ebb.dev/state": state}}})
		h.check(err)
		_, err = h.admin.CoreV1().Secrets(h.store).Patch(h.Context(), secret.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		h.check(err)
	}
}

func (h *faultedRun) deleteLeases() {
	h.check(h.admin.CoordinationV1().Leases(h.store).DeleteCollection(h.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
}

func (h *faultedRun) patchLease(patch string) {
	h.Helper()
	list, err := h.admin.CoordinationV1().Leases(h.store).List(h.Context(), metav1.ListOptions{})
	h.check(err)
	for _, lease := range list.Items {
		_, err = h.admin.CoordinationV1().Leases(h.store).Patch(h.Context(), lease.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		h.check(err)
	}
}

// useUpQuota allows as many Secrets as there are.
func (h *faultedRun) useUpQuota() {
	h.Helper()
	list, err := h.admin.CoreV1().Secrets(h.store).List(h.Context(), metav1.ListOptions{})
	h.check(err)
	there := corev1.ResourceList{corev1.ResourceSecrets: *resource.NewQuantity(int64(len(list.Items)), resource.DecimalSI)}
	_, err = h.admin.CoreV1().ResourceQuotas(h.store).Create(h.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "full"}, Spec: corev1.ResourceQuotaSpec{Hard: there},
	}, metav1.CreateOptions{})
	h.check(err)
	if !eventually(func() bool {
		_, err := h.admin.CoreV1().Secrets(h.store).Create(h.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "probe"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err)
	}) {
		h.Fatal("the quota does not hold")
	}
}

// pendingSecrets counts the version files in the store that say that they are pending.
func (h *faultedRun) pendingSecrets() int {
	h.Helper()
	list, err := h.admin.CoreV1().Secrets(h.store).List(context.Background(), metav1.ListOptions{LabelSelector: "ebb.dev/store=version-file,ebb.dev/state=pending"})
	h.check(err)
	return len(list.Items)
}
