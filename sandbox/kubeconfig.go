package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfigMark is the first line of every kubeconfig that we write. Only a file with this line
// may be replaced.
const kubeconfigMark = "# Written by ebb-sandbox.\n"

// encodeKubeconfig makes a kubeconfig that needs no other file.
func encodeKubeconfig(user, namespace, server string, ca, cert, key []byte) ([]byte, error) {
	const name = "ebb-sandbox"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user, Namespace: namespace}
	config.CurrentContext = name
	body, err := clientcmd.Write(*config)
	if err != nil {
		return nil, err
	}
	return append([]byte(kubeconfigMark), body...), nil
}

// checkReplaceable refuses a path with a kubeconfig of the user's own: it is easy to pass
// $KUBECONFIG by mistake.
func checkReplaceable(path string) error {
	old, err := readIfThere(path)
	if err != nil {
		return err
	}
	if len(old) > 0 && !bytes.HasPrefix(old, []byte(kubeconfigMark)) {
		return withHint(fmt.Errorf("file %q exists and was not written by ebb-sandbox", path), "name another file, or remove it first")
	}
	return nil
}

func writeKubeconfig(path string, content []byte) error {
	if err := checkReplaceable(path); err != nil {
		return err
	}
	if err := writeFile(path, content); err != nil {
		return fmt.Errorf("write the kubeconfig: %w", err)
	}
	return nil
}

// removeKubeconfig removes the file if it is still the one that we wrote.
func removeKubeconfig(path string, content []byte) error {
	now, err := readIfThere(path)
	if err != nil || !bytes.Equal(now, content) {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// dial returns a client for the cluster of a kubeconfig, and its connection settings.
func dial(kubeconfig string) (*kubernetes.Clientset, *rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("read kubeconfig %q: %w", kubeconfig, err)
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, nil, fmt.Errorf("read kubeconfig %q: %w", kubeconfig, err)
	}
	config.QPS = -1 // we poll rarely; client-go's own limit would slow that down
	client, err := kubernetes.NewForConfig(config)
	return client, config, err
}

// adminClient returns a client for a kubeconfig that is not on disk yet.
func adminClient(kubeconfig []byte) (*kubernetes.Clientset, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}
