package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
)

const getUsage = `ebb-sandbox get lists objects as the API server prints them, so that a demo needs
no kubectl. RESOURCE is a plural name, such as pods or networkpolicies:

  ebb-sandbox get networkpolicies --kubeconfig FILE [--namespace NS]
`

// getLimit limits the time of the whole command.
const getLimit = 30 * time.Second

func runGet(args []string, stdout io.Writer) error {
	var kubeconfig, namespace string
	flags := pflag.NewFlagSet("get", pflag.ContinueOnError)
	flags.StringVar(&kubeconfig, "kubeconfig", "", "the cluster's kubeconfig: `FILE` (required)")
	flags.StringVar(&namespace, "namespace", "", "only this `NAMESPACE`")
	var resource string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		resource, args = args[0], args[1:]
	}
	if err := parseFlags(flags, args, getUsage, stdout); err != nil {
		return err
	}
	if err := requireFlags(flags, "kubeconfig"); err != nil {
		return err
	}
	if resource == "" {
		return withHint(&usageError{fmt.Errorf("get: no resource given")}, "ebb-sandbox get --help")
	}
	client, _, err := dial(kubeconfig)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), getLimit)
	defer cancel()
	table, err := fetchTable(ctx, client, resource, namespace)
	if err != nil {
		return err
	}
	return printTable(stdout, table)
}

// fetchTable asks the API server for the columns that kubectl shows.
func fetchTable(ctx context.Context, client *kubernetes.Clientset, resource, namespace string) (*metav1.Table, error) {
	lists, err := client.Discovery().ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, err
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if r.Name != resource {
				continue
			}
			path := []string{"api", gv.Version}
			if gv.Group != "" {
				path = []string{"apis", gv.Group, gv.Version}
			}
			if namespace != "" && r.Namespaced {
				path = append(path, "namespaces", namespace)
			}
			var table metav1.Table
			err := client.Discovery().RESTClient().Get().AbsPath(append(path, resource)...).
				SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(ctx).Into(&table)
			return &table, err
		}
	}
	return nil, withHint(fmt.Errorf("the API server has no resource %q", resource), "name it in the plural: pods, networkpolicies")
}

func printTable(stdout io.Writer, table *metav1.Table) error {
	if len(table.Rows) == 0 {
		_, err := fmt.Fprintln(stdout, "none")
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 3, ' ', 0)
	var columns []int
	var heads []string
	for i, column := range table.ColumnDefinitions {
		if column.Priority == 0 {
			columns = append(columns, i)
			heads = append(heads, strings.ToUpper(column.Name))
		}
	}
	rows := [][]string{heads}
	for _, row := range table.Rows {
		var cells []string
		for _, i := range columns {
			cells = append(cells, fmt.Sprint(row.Cells[i]))
		}
		rows = append(rows, cells)
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
