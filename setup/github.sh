#!/usr/bin/env bash
# Sets up a GitHub repository for the Postgres Cluster Action: environments with their secrets, labels, and the rule for
# the default branch. It can be run again: it keeps what exists and creates what is missing. See README.md.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: github.sh --repository OWNER/REPO --plan-role ARN --deploy-role ARN [option ...]

  --reviewer LOGIN   a person who must approve deploys (can be given several times)
  --approvals NUMBER approvals that a pull request needs (default 1; 0 if you work alone)
  --check NAME       a check that a pull request must pass, for example plan (see docs/workflows/required-check.yml)
  --backup-cipher FILE
                     also makes the key of encrypted backups, once, with a copy in FILE for you to keep; if FILE exists, its
                     key is used (see docs/how-to/back-up-and-restore.md, Encrypt)
  --rotate           makes new passwords and a new review key; the SSH key, which the nodes know, and the key of the backups
                     stay
  --dry-run          only says what it would do

It needs gh, logged in as an administrator of the repository, and ssh-keygen and openssl.
TEXT
}

fail() {
  printf 'github.sh: %s\n' "$1" >&2
  exit 1
}

repository='' plan_role='' deploy_role='' check='' approvals=1 cipher_file='' rotate='' dry_run='' reviewers=()
while [ $# -gt 0 ]; do
  case $1 in
    --repository | --plan-role | --deploy-role | --reviewer | --approvals | --check | --backup-cipher)
      [ $# -ge 2 ] || fail "$1 needs a value. See github.sh --help."
      ;;
  esac
  case $1 in
    --repository) repository=$2 && shift 2 ;;
    --plan-role) plan_role=$2 && shift 2 ;;
    --deploy-role) deploy_role=$2 && shift 2 ;;
    --reviewer) reviewers+=("$2") && shift 2 ;;
    --approvals) approvals=$2 && shift 2 ;;
    --check) check=$2 && shift 2 ;;
    --backup-cipher) cipher_file=$2 && shift 2 ;;
    --rotate) rotate=yes && shift ;;
    --dry-run) dry_run=yes && shift ;;
    --help | -h) usage && exit 0 ;;
    *) fail "$1 is not an option. See github.sh --help." ;;
  esac
done

[[ $repository =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ ]] ||
  fail "--repository is '$repository'; it must be OWNER/REPO."
for role in "$plan_role" "$deploy_role"; do
  [[ $role =~ ^arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$ ]] ||
    fail "--plan-role and --deploy-role must be the ARNs that terraform output prints in setup/aws; one is '$role'."
done
[ "$plan_role" != "$deploy_role" ] ||
  fail '--plan-role and --deploy-role are the same: a plan could deploy. Give each its own role.'
[[ $approvals =~ ^([0-9]|10)$ ]] || fail "--approvals is '$approvals'; it must be a number from 0 to 10."
[[ -z $check || $check =~ ^[A-Za-z0-9\ ._/()-]+$ ]] || fail "--check is '$check'; it must be the name of a job."
for login in ${reviewers[@]+"${reviewers[@]}"}; do
  [[ $login =~ ^[A-Za-z0-9-]+$ ]] || fail "--reviewer is '$login'; it must be the login of a person."
done
# What the action takes (src/inputs/cipher-keys.ts).
is_cipher_key() { [[ $1 =~ ^[A-Za-z0-9+/=_-]{32,256}$ ]]; }
if [ -e "$cipher_file" ]; then
  { [ -f "$cipher_file" ] && is_cipher_key "$(<"$cipher_file")"; } ||
    fail "--backup-cipher: $cipher_file holds no key of 32 to 256 letters, digits and + / = _ -. Name a file that does not exist, or one with such a key."
elif [ -n "$cipher_file" ]; then
  { [ -d "$(dirname -- "$cipher_file")" ] && [ -w "$(dirname -- "$cipher_file")" ]; } ||
    fail "--backup-cipher: $cipher_file cannot be written. Name a file in a folder of yours."
fi
for program in gh ssh-keygen openssl; do
  command -v "$program" >/dev/null || fail "$program is not installed. Install it, then run this again."
done
export GH_PROMPT_DISABLED=1 GH_NO_UPDATE_NOTIFIER=1
gh auth status >/dev/null 2>&1 || fail 'gh is not logged in. Run gh auth login, then run this again.'

did() { printf 'did:   %s\n' "$1"; }
kept() { printf 'kept:  %s\n' "$1"; }
todo() { printf 'to do: %s\n' "$1"; }

# Runs a command that changes something, with its input, and says so. Arguments: the sentence, the command.
change() {
  local what=$1 message
  shift
  if [ -n "$dry_run" ]; then
    printf 'would: %s\n' "$what"
    return
  fi
  message=$("$@" 2>&1 >/dev/null) || {
    printf 'failed: %s\n%s\n' "$what" "$message" >&2
    case $message in
      *'HTTP 403'* | *'HTTP 404'*)
        printf 'github.sh: The token lacks a permission, or the plan of GitHub lacks the feature. %s\n' \
          'It must be an administrator'"'"'s, with the scope repo. Then run this again: what is done is kept.' >&2
        ;;
      *) printf 'github.sh: Run this again: what is done is kept.\n' >&2 ;;
    esac
    exit 1
  }
  did "$what"
}

# Asks GitHub. Prints the answer; a thing that does not exist gives an empty one.
ask() {
  local answer
  if answer=$(gh api "$@" 2>&1); then
    printf '%s' "$answer"
    return
  fi
  case $answer in
    *'HTTP 404'*) return ;;
    *) fail "GitHub does not answer gh api $1: $answer" ;;
  esac
}

path="repos/$repository"
about=$(ask "$path" --jq '[.permissions.admin, .default_branch, .visibility] | @tsv')
[ -n "$about" ] || fail "$repository does not exist, or this login cannot see it."
IFS=$'\t' read -r admin branch visibility <<<"$about"
[ "$admin" = true ] || fail "This login is no administrator of $repository. Log in as one (gh auth login)."

# The ids of the reviewers as JSON for the API.
list_reviewers() {
  local login id list=''
  for login in ${reviewers[@]+"${reviewers[@]}"}; do
    id=$(ask "users/$login" --jq .id)
    [ -n "$id" ] || fail "--reviewer $login: GitHub knows no such person."
    list+="${list:+,}{\"type\":\"User\",\"id\":$id}"
  done
  printf '%s' "${list:+[$list]}"
}

# Before anything changes: a wrong login must not leave half of it.
approvers=$(list_reviewers)

# --- environments ------------------------------------------------------------------------------------------------

make_environment() {
  local name=$1 body=$2 state policies policy found=''
  state=$(ask "$path/environments/$name" --jq '[.deployment_branch_policy.custom_branch_policies // false,
    any(.protection_rules[]?; .type == "required_reviewers")] | @tsv')
  case $state in
    true*) kept "environment $name" ;;
    *)
      [ -z "$state" ] || [[ $state != *true ]] ||
        fail "The environment $name has required reviewers but admits other branches than selected ones. Under Settings, Environments, choose 'Selected branches and tags', then run this again."
      change "environment $name, for selected branches" gh api -X PUT "$path/environments/$name" --input - <<<"$body"
      ;;
  esac
  policies=$(ask "$path/environments/$name/deployment-branch-policies?per_page=100" \
    --jq '.branch_policies[] | (.type // "branch") + ":" + .name')
  while IFS= read -r policy; do
    case $policy in
      '') ;;
      "branch:$branch") found=yes ;;
      *) todo "the environment $name also admits $policy: remove it, or any such branch can use the secrets" ;;
    esac
  done <<<"$policies"
  if [ -n "$found" ]; then
    kept "environment $name admits $branch"
  else
    change "environment $name admits only $branch" \
      gh api -X POST "$path/environments/$name/deployment-branch-policies" -f "name=$branch" -f type=branch
  fi
}

policy='"deployment_branch_policy":{"protected_branches":false,"custom_branch_policies":true}'
make_environment plan "{$policy}"
production="{$policy${approvers:+,\"reviewers\":$approvers}}"
make_environment production "$production"
if [ ${#reviewers[@]} -gt 0 ]; then
  asked=$(ask "$path/environments/production" --jq 'any(.protection_rules[]?; .type == "required_reviewers")')
  if [ "$asked" != true ]; then
    change "deploys need the approval of ${reviewers[*]}" \
      gh api -X PUT "$path/environments/production" --input - <<<"$production"
  fi
fi

# --- variables and secrets ----------------------------------------------------------------------------------------

set_variable() {
  local environment=$1 name=$2 value=$3 now
  now=$(ask "$path/environments/$environment/variables/$name" --jq .value)
  if [ "$now" = "$value" ]; then
    kept "variable $name of $environment"
  elif [ -z "$now" ]; then
    change "variable $name of $environment" \
      gh api -X POST "$path/environments/$environment/variables" -f "name=$name" -f "value=$value"
  else
    change "variable $name of $environment (was $now)" \
      gh api -X PATCH "$path/environments/$environment/variables/$name" -f "name=$name" -f "value=$value"
  fi
}

set_variable plan AWS_ROLE "$plan_role"
set_variable production AWS_ROLE "$deploy_role"

plan_secrets='' production_secrets=''
read_secrets() {
  ask "$path/environments/$1/secrets?per_page=100" --jq '.secrets[].name'
}
plan_secrets=$(read_secrets plan)
production_secrets=$(read_secrets production)

has() { grep -qx "$2" <<<"$1"; }

# Sets a secret from the standard input: an argument could be read by other users of this machine.
set_secret() { change "secret $2 of $1" gh secret set "$2" --repo "$repository" --env "$1"; }

# A secret that both environments must have with one value. GitHub does not tell values: if one is missing, both get a
# new one.
share_secret() {
  local name=$1 make=$2 value
  if [ -z "$rotate" ] && has "$plan_secrets" "$name" && has "$production_secrets" "$name"; then
    kept "secret $name of plan and production"
    return
  fi
  value=$("$make")
  set_secret plan "$name" <<<"$value"
  set_secret production "$name" <<<"$value"
}

make_password() { openssl rand -hex 24; }
make_review_key() { openssl rand -hex 32; }

# ssh-keygen can write a key only to a file: one that nobody else can read, removed at once, whatever happens.
make_ssh_key() (
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  trap 'exit 1' HUP INT TERM
  chmod 700 "$folder"
  ssh-keygen -q -t ed25519 -N '' -C "$repository" -f "$folder/key"
  cat "$folder/key"
)

if [ -n "$rotate" ] && has "$production_secrets" SSH_PRIVATE_KEY; then
  todo 'the SSH key stays, because the nodes know it: docs/how-to/rotate-secrets.md says how to replace it'
fi
if has "$production_secrets" SSH_PRIVATE_KEY && has "$plan_secrets" SSH_PRIVATE_KEY; then
  kept 'secret SSH_PRIVATE_KEY of plan and production'
elif has "$production_secrets" SSH_PRIVATE_KEY; then
  # Nodes may know it, and nobody can read it from GitHub: a new one would lock every deploy out.
  kept 'secret SSH_PRIVATE_KEY of production'
  todo 'the environment plan has no SSH_PRIVATE_KEY: put the key of production there, or set ssh_public_key in the cluster file. If no node exists yet, delete the one of production and run this again'
else
  rotate_before=$rotate rotate=yes
  share_secret SSH_PRIVATE_KEY make_ssh_key
  rotate=$rotate_before
fi
share_secret REVIEW_KEY make_review_key
for name in POSTGRES_PASSWORD REPLICATION_PASSWORD; do
  if [ -z "$rotate" ] && has "$production_secrets" "$name"; then
    kept "secret $name of production"
  else
    value=$(make_password)
    set_secret production "$name" <<<"$value"
    [ "$name" = REPLICATION_PASSWORD ] ||
      todo "GitHub does not show $name again: to log in yourself, set your own: gh secret set $name --env production --repo $repository"
  fi
done
# Never with --rotate: what is encrypted with a key needs that key. The copy comes first, because GitHub shows no secret again.
make_cipher_copy() (
  # `change` handles failures, so the shell does not end at the first.
  key=$(openssl rand -base64 48) && is_cipher_key "$key" || exit 1
  umask 077
  set -o noclobber
  printf '%s\n' "$key" >"$cipher_file"
)
store_cipher_key() { gh secret set BACKUP_CIPHER_KEY --repo "$repository" --env production <"$cipher_file"; }
has_copy=''
[ ! -e "$cipher_file" ] || has_copy=yes
if has "$production_secrets" BACKUP_CIPHER_KEY; then
  kept 'secret BACKUP_CIPHER_KEY of production'
  [ -z "$cipher_file" ] ||
    todo "the key of the backups is there already, and GitHub does not show it: whether $cipher_file has the same is not known. Keep the copy that was made with it"
  has_copy=''
  [ -z "$rotate" ] ||
    todo 'the key of the backups stays, because nothing can change it in a repository that exists: docs/how-to/back-up-and-restore.md, Encrypt'
elif [ -n "$cipher_file" ]; then
  [ -n "$has_copy" ] || change "key of encrypted backups in $cipher_file" make_cipher_copy
  change 'secret BACKUP_CIPHER_KEY of production' store_cipher_key
  has_copy=yes
fi
[ -z "$has_copy" ] ||
  todo "put the key in $cipher_file where it outlives GitHub and this machine, such as a password manager, then delete the file: without the key every backup is lost, and GitHub does not show it again"
repository_secrets=$(ask "$path/actions/secrets?per_page=100" --jq '.secrets[].name')
for name in $repository_secrets; do
  case $name in
    AWS_ROLE | SSH_PRIVATE_KEY | REVIEW_KEY | POSTGRES_PASSWORD | REPLICATION_PASSWORD | BACKUP_CIPHER_KEY | RESTORE_CIPHER_KEY)
      todo "$name is also a secret of the repository, which a workflow in any branch can read: delete it there"
      ;;
  esac
done

# --- labels -------------------------------------------------------------------------------------------------------

make_label() {
  local name=$1 colour=$2 description=$3 now
  now=$(ask "$path/labels/$name" --jq .name)
  if [ -n "$now" ]; then
    kept "label $name"
  else
    change "label $name" \
      gh api -X POST "$path/labels" -f "name=$name" -f "color=$colour" -f "description=$description"
  fi
}

make_label allow-destroy d73a4a 'Allows a plan that destroys nodes with data, or backups'
make_label allow-collation-change d73a4a 'Allows an image that sorts text differently'
make_label allow-slot-loss d73a4a 'Allows a switchover that loses logical slots'
make_label allow-plan fbca04 'Requests a plan of a pull request from a fork'

# --- rule of the default branch -----------------------------------------------------------------------------------

make_rule() {
  local id rule now wanted
  id=$(ask "$path/rulesets?includes_parents=false&per_page=100" \
    --jq 'map(select(.name == "postgres-cluster" and .target == "branch")) | .[0].id // empty')
  if [ -z "$id" ]; then
    rule='{"type":"deletion"},{"type":"non_fast_forward"},{"type":"pull_request","parameters":{'
    rule+="\"required_approving_review_count\":$approvals,\"dismiss_stale_reviews_on_push\":true,"
    rule+='"require_code_owner_review":false,"require_last_push_approval":false,'
    rule+='"required_review_thread_resolution":false}}'
    if [ -n "$check" ]; then
      rule+=',{"type":"required_status_checks","parameters":{"strict_required_status_checks_policy":false,'
      rule+="\"required_status_checks\":[{\"context\":\"$check\"}]}}"
    fi
    wanted='{"name":"postgres-cluster","target":"branch","enforcement":"active",'
    wanted+='"conditions":{"ref_name":{"include":["~DEFAULT_BRANCH"],"exclude":[]}},'
    wanted+="\"rules\":[$rule]}"
    change "rule of $branch: a pull request with $approvals approval(s)${check:+, and the check $check}" \
      gh api -X POST "$path/rulesets" --input - <<<"$wanted"
    return
  fi
  # What somebody changed in the rule stays. Only a check is added; where the rule demands less, that is said.
  now=$(CHECK=$check ask "$path/rulesets/$id" --jq 'if env.CHECK == "" then "ok"
    elif any(.rules[]; .type == "required_status_checks") | not then "none"
    elif any(.rules[] | select(.type == "required_status_checks") | .parameters.required_status_checks[];
      .context == env.CHECK) then "ok" else "others" end')
  case $now in
    ok) kept "rule of $branch" ;;
    none)
      wanted=$(CHECK=$check ask "$path/rulesets/$id" --jq '{name, target, enforcement, conditions, bypass_actors, rules:
        (.rules + [{type: "required_status_checks", parameters: {strict_required_status_checks_policy: false,
        required_status_checks: [{context: env.CHECK}]}}])}')
      change "rule of $branch: also the check $check" gh api -X PUT "$path/rulesets/$id" --input - <<<"$wanted"
      ;;
    *) todo "the rule postgres-cluster requires other checks than $check: add it under Settings, Rules" ;;
  esac
  now=$(APPROVALS=$approvals ask "$path/rulesets/$id" --jq '.enforcement == "active" and any(.rules[];
    .type == "pull_request" and .parameters.required_approving_review_count >= (env.APPROVALS | tonumber))')
  [ "$now" = true ] ||
    todo "the rule postgres-cluster is inactive or needs fewer than $approvals approval(s): change it under Settings, Rules"
}
make_rule

# --- what is left -------------------------------------------------------------------------------------------------

[ -n "$check" ] ||
  todo 'no check is required: after you have set up docs/workflows/required-check.yml, run this again with --check plan'
[ ${#reviewers[@]} -gt 0 ] || todo 'nobody has to approve a deploy: --reviewer LOGIN (private repositories need GitHub Enterprise)'
todo "clear 'Allow administrators to bypass' in both environments (Settings, Environments)"
[ "$visibility" != public ] ||
  todo 'the repository is public: everybody sees the comments, with addresses and settings of the cluster'
