package cloudtest

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

type acl struct {
	id, vpc string
	byAWS   bool // the VPC's default
	tags    map[string]string
	hidden  int // looks that don't see it yet
	allows  bool
}

type association struct{ id, list string }

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

// Allow gives the network ACL with a tag Name, and all that look like it, a rule that allows incoming traffic.
func (a *AWS) Allow(name *regexp.Regexp) (found bool) {
	a.state.Lock()
	defer a.state.Unlock()
	for _, list := range a.lists {
		if name.MatchString(list.tags["Name"]) {
			list.allows, found = true, true
		}
	}
	return found
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
			items = append(items, fmt.Sprintf("<item><networkAclId>%s</networkAclId><vpcId>%s</vpcId><default>%t</default><entrySet>%s</entrySet><tagSet>%s</tagSet><associationSet>%s</associationSet></item>",
				id, list.vpc, list.byAWS, list.entries(), tags, associations))
		}
	}
	content, err := page(items, form)
	set, next, _ := strings.Cut(content, "|")
	return "<networkAclSet>" + set + "</networkAclSet>" + next, err
}

// entries are the rules of a list: EC2 adds the two that deny to each.
func (l *acl) entries() string {
	entry := func(number int, action string, egress bool) string {
		return fmt.Sprintf("<item><ruleNumber>%d</ruleNumber><protocol>-1</protocol><ruleAction>%s</ruleAction><egress>%t</egress><cidrBlock>0.0.0.0/0</cidrBlock></item>", number, action, egress)
	}
	all := entry(32767, "deny", true) + entry(32767, "deny", false)
	if l.allows {
		all += entry(100, "allow", false)
	}
	return all
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
