package builtins

import (
	_ "embed"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// API is api.star: the signature and documentation of every function that scripts can call. A
// function of a module has the name module_function there.
//
//go:embed api.star
var API string

// Doc documents one function.
type Doc struct {
	Name      string // as scripts write it: "k8s.get"
	Section   string // the heading above it
	Signature string // "k8s.get(kind, name, namespace = \"\", api_version = \"\")"
	Params    []string
	Text      string // what it does, and then its arguments
}

// Summary is the first line of the text.
func (d Doc) Summary() string {
	line, _, _ := strings.Cut(d.Text, "\n")
	return line
}

// Docs parses api.star.
func Docs() ([]Doc, error) {
	file, err := (&syntax.FileOptions{}).Parse("api.star", API, syntax.RetainComments)
	if err != nil {
		return nil, err
	}
	names := Predeclared()
	var docs []Doc
	section := ""
	for _, stmt := range file.Stmts {
		def, ok := stmt.(*syntax.DefStmt)
		if !ok {
			continue
		}
		if c := def.Comments(); c != nil {
			for _, comment := range c.Before {
				if heading, ok := strings.CutPrefix(comment.Text, "# --- "); ok {
					section = strings.TrimSuffix(heading, " ---")
				}
			}
		}
		d := Doc{Name: qualify(def.Name.Name, names), Section: section}
		for _, p := range def.Params {
			d.Params = append(d.Params, param(p))
		}
		d.Signature = d.Name + "(" + strings.Join(d.Params, ", ") + ")"
		if d.Text, err = docstring(def); err != nil {
			return nil, err
		}
		docs = append(docs, d)
	}
	return docs, nil
}

// qualify returns the name in scripts of a function of api.star: cloud_gcp_start is
// cloud.gcp.start.
func qualify(name string, names starlark.StringDict) string {
	first, rest, ok := strings.Cut(name, "_")
	if module, is := names[first].(*starlarkstruct.Module); ok && is {
		return first + "." + qualify(rest, module.Members)
	}
	return name
}

// param prints the declaration of a parameter.
func param(e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.Ident:
		return e.Name
	case *syntax.UnaryExpr:
		return e.Op.String() + param(e.X)
	case *syntax.BinaryExpr:
		return param(e.X) + " = " + param(e.Y)
	case *syntax.Literal:
		return e.Raw
	case *syntax.ListExpr:
		return "[]"
	}
	return "…"
}

// docstring returns the documentation of a function without its indentation.
func docstring(def *syntax.DefStmt) (string, error) {
	if stmt, ok := def.Body[0].(*syntax.ExprStmt); ok {
		if lit, ok := stmt.X.(*syntax.Literal); ok && lit.Token == syntax.STRING {
			lines := strings.Split(strings.TrimSpace(lit.Value.(string)), "\n")
			for i := range lines {
				lines[i] = strings.TrimPrefix(lines[i], "    ")
			}
			return strings.TrimSpace(strings.Join(lines, "\n")), nil
		}
	}
	return "", fmt.Errorf("api.star: %s has no docstring", def.Name.Name)
}
