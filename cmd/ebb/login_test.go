package main

import (
	"context"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// login token TOKEN, login exec COMMAND ARG... makes a kubeconfig of the same cluster with other
// credentials, $KUBECONFIG_LOGIN: a bearer token, or a command that prints some.
func cmdLogin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: login token TOKEN|exec COMMAND ARG...")
	}
	config, err := clientcmd.LoadFromFile(ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	for name := range config.AuthInfos {
		user := clientcmdapi.NewAuthInfo()
		switch args[0] {
		case "token":
			user.Token = args[1]
		case "exec":
			user.Exec = &clientcmdapi.ExecConfig{
				APIVersion: "client.authentication.k8s.io/v1", Command: args[1], Args: args[2:], InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
			}
		default:
			ts.Fatalf("login: got %q, want token or exec", args[0])
		}
		config.AuthInfos[name] = user
	}
	file := ts.MkAbs("login.kubeconfig")
	ts.Check(clientcmd.WriteToFile(*config, file))
	ts.Setenv("KUBECONFIG_LOGIN", file)
}

// token FILE writes a token of the service account default in $NS, which gets all rights there.
func cmdToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: token FILE")
	}
	namespace := ts.Getenv("NS")
	rights := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "default-may-all"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: namespace}},
	}
	_, err := clientset(ts).RbacV1().RoleBindings(namespace).Create(context.Background(), rights, metav1.CreateOptions{})
	ts.Check(err)
	request, err := clientset(ts).CoreV1().ServiceAccounts(namespace).CreateToken(context.Background(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(request.Status.Token), 0o600))
}

// revoke takes all rights in $NS away from everybody but the cluster's administrators.
func cmdRevoke(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: revoke")
	}
	ts.Check(clientset(ts).RbacV1().RoleBindings(ts.Getenv("NS")).DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{}))
}
