package main

// credentials are the files with which the components authenticate each other.
type credentials struct {
	authority, ca    string
	server           string
	nodeClient       string
	nodeServer       string
	serviceAccount   string
	controllerConfig string
	schedulerConfig  string
	nodesConfig      string
	admin            []byte // the kubeconfig for the user that started the sandbox
}

// masters is the group that has all rights.
const masters = "system:masters"

func newCredentials(d *dataDir, server string) (*credentials, error) {
	a, err := openAuthority(d.file("pki"))
	if err != nil {
		return nil, err
	}
	c := &credentials{authority: a.file("ca.pem"), ca: a.file("ca.crt")}
	if c.server, err = a.server("kube-apiserver"); err != nil {
		return nil, err
	}
	if c.nodeClient, err = a.client(nodeClientName, nodeClientName); err != nil {
		return nil, err
	}
	if c.nodeServer, err = a.server("node-server"); err != nil {
		return nil, err
	}
	if c.serviceAccount, err = a.serviceAccountKey(); err != nil {
		return nil, err
	}
	for _, user := range []struct {
		file, name string
		groups     []string
		path       *string
	}{
		// All controllers share one certificate, so it needs all rights.
		{"controller-manager", "system:kube-controller-manager", []string{masters}, &c.controllerConfig},
		{"scheduler", "system:kube-scheduler", nil, &c.schedulerConfig},
		{"nodes", "ebb-sandbox-nodes", []string{masters}, &c.nodesConfig},
	} {
		content, err := a.kubeconfig(user.file, user.name, server, user.groups...)
		if err != nil {
			return nil, err
		}
		*user.path = d.file("run", user.file+".kubeconfig")
		if err := writeFile(*user.path, content); err != nil {
			return nil, err
		}
	}
	c.admin, err = a.kubeconfig("admin", "ebb-sandbox-admin", server, masters)
	return c, err
}
