"""IAM's decision about a request, from the JSON of a role's policies.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements reference". A policy with an element that is not
implemented here is refused when it is given, so that no test passes because a condition was ignored.
"""
import fnmatch
import json

ELEMENTS = {'Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'}
# Context keys that request.py gives; a request without one has no such key.
KEYS = {
    'aws:securetransport',
    'aws:principalaccount',
    'aws:resourceaccount',
    's3:resourceaccount',
    's3:prefix',
    's3:delimiter',
    's3:max-keys',
    's3:x-amz-server-side-encryption',
    's3:x-amz-server-side-encryption-aws-kms-key-id',
    'kms:viaservice',
    'kms:resourcealiases',
}


def _match(pattern, value):
    """`*` and `?`; a bracket is an ordinary character."""
    return fnmatch.fnmatchcase(value, pattern.replace('[', '[[]'))


def _match_like(pattern, value):
    return _match(pattern, value)


def _match_equal(pattern, value):
    return pattern == value


def _match_bool(pattern, value):
    return pattern.lower() == value.lower()


OPERATORS = {
    'StringEquals': (_match_equal, False),
    'StringNotEquals': (_match_equal, True),
    'StringLike': (_match_like, False),
    'StringNotLike': (_match_like, True),
    'ArnLike': (_match_like, False),
    'ArnEquals': (_match_like, False),
    'Bool': (_match_bool, False),
}


def _name(operator):
    """The operator without what says how it treats several values, of which a request has one here, and a missing key."""
    return operator.removeprefix('ForAnyValue:').removesuffix('IfExists')


def _list(value):
    return value if isinstance(value, list) else [value]


def _texts(value):
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in _list(value)]


def check(policy):
    """Raises ValueError if a policy has something that this module does not decide as IAM does."""
    for statement in _list(policy['Statement']):
        unknown = set(statement) - ELEMENTS
        if unknown:
            raise ValueError(f'a policy has {", ".join(sorted(unknown))}')
        if statement['Effect'] not in ('Allow', 'Deny'):
            raise ValueError(f'the effect {statement["Effect"]}')
        if ('Action' in statement) == ('NotAction' in statement) or ('Resource' in statement) == ('NotResource' in statement):
            raise ValueError('a statement needs one of Action and NotAction, and one of Resource and NotResource')
        if '${' in json.dumps(statement):
            raise ValueError('a policy variable')
        for operator, tests in statement.get('Condition', {}).items():
            if _name(operator) not in OPERATORS:
                raise ValueError(f'the condition operator {operator}')
            for key in tests:
                if key.lower() not in KEYS:
                    raise ValueError(f'the condition key {key}')


def _holds(operator, key, wanted, context):
    match, negated = OPERATORS[_name(operator)]
    value = context.get(key.lower())
    if value is None:
        # "If the key is not in the request context, the values do not match": true for negated operators only.
        return negated or operator.endswith('IfExists')
    return any(match(one, value) for one in _texts(wanted)) != negated


def _applies(statement, action, resource, context):
    def names(element, value):
        return any(_match(one.lower() if element == 'Action' else one, value) for one in _list(statement[element]))

    if 'Action' in statement and not names('Action', action.lower()):
        return False
    if 'NotAction' in statement and any(_match(one.lower(), action.lower()) for one in _list(statement['NotAction'])):
        return False
    if 'Resource' in statement and not names('Resource', resource):
        return False
    if 'NotResource' in statement and names('NotResource', resource):
        return False
    return all(
        _holds(operator, key, wanted, context)
        for operator, tests in statement.get('Condition', {}).items()
        for key, wanted in tests.items()
    )


def _decide(policies, action, resource, context):
    """Returns 'Deny', 'Allow' or None: no statement applies."""
    effects = {
        statement['Effect']
        for policy in policies
        for statement in _list(policy['Statement'])
        if _applies(statement, action, resource, context)
    }
    return 'Deny' if 'Deny' in effects else 'Allow' if 'Allow' in effects else None


def explain_refusal(role, action, resource, context):
    """Returns None if the role may do it, else why not, as AWS says it.

    `role`: {'policies': [policy, …], 'boundary': policy or None}.
    """
    identity = _decide(role['policies'], action, resource, context)
    boundary = 'Allow' if role['boundary'] is None else _decide([role['boundary']], action, resource, context)
    if identity == 'Deny':
        return 'with an explicit deny in an identity-based policy'
    if boundary == 'Deny':
        return 'with an explicit deny in a permissions boundary'
    if identity is None:
        return f'because no identity-based policy allows the {action} action'
    if boundary is None:
        return f'because no permissions boundary allows the {action} action'
    return None


def read_account(text):
    """Returns {role name: role} of the JSON {"roles": {name: {"policies": […], "boundary": …}}}; raises ValueError."""
    roles = json.loads(text)['roles']
    for name, role in roles.items():
        for policy in [*role['policies'], *([role['boundary']] if role['boundary'] else [])]:
            try:
                check(policy)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f'role {name}: the lab does not implement {error}') from error
    return roles
