"""Settings: what is taken, what is refused, and that no refusal or listing shows a secret."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from service.config import Settings, check_exposure, load_settings, variable
from service.errors import ExposedWithoutSecrets, InvalidSetting, UnknownSetting
from service.hosts import near_url
from service.labels import load_labels

SECRET = "s3cret-Value"


def test_without_any_variable_the_settings_are_the_documented_defaults():
    settings = load_settings({"PATH": "/bin", "HOME": "/home/ada"})

    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8080, Path(".recount"))
    assert settings.body_bytes_max == 1024 * 1024
    assert settings.database_url is None
    assert (settings.webhook_keys, settings.api_tokens) == ([], [])


def test_every_setting_has_a_description():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_setting_may_come_from_a_file(tmp_path):
    key_file = tmp_path / "keys"
    key_file.write_text(f"{SECRET}@5456534244\n")

    settings = load_settings({"RECOUNT_WEBHOOK_KEYS_FILE": str(key_file)})

    assert settings.webhook_keys[0].secret.get_secret_value() == SECRET
    assert settings.webhook_keys[0].product_id == 5456534244


def test_a_setting_given_twice_is_refused(tmp_path):
    port_file = tmp_path / "port"
    port_file.write_text("9000")

    with pytest.raises(InvalidSetting, match="RECOUNT_PORT_FILE and RECOUNT_PORT are both set"):
        load_settings({"RECOUNT_PORT": "8080", "RECOUNT_PORT_FILE": str(port_file)})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidSetting, match="nowhere that cannot be read: No such file or directory"):
        load_settings({"RECOUNT_HOST_FILE": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("name", ["DATABASE_URL", "WEBHOOK_KEYS", "API_TOKENS"])
def test_a_secret_given_for_the_file_that_holds_it_is_not_shown(name):
    with pytest.raises(InvalidSetting) as caught:
        load_settings({f"RECOUNT_{name}_FILE": SECRET})

    assert "takes the path of a file, and names a file that cannot be read" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_unknown_name_is_refused_with_the_one_that_was_meant():
    with pytest.raises(
        UnknownSetting, match="no setting RECOUNT_WEBHOOK_KEY; did you mean RECOUNT_WEBHOOK_KEYS"
    ):
        load_settings({"RECOUNT_WEBHOOK_KEY": SECRET})


def test_an_unknown_name_like_no_other_is_refused_too():
    with pytest.raises(UnknownSetting, match="no setting RECOUNT_XYZZY; it is misspelt"):
        load_settings({"RECOUNT_XYZZY": "1"})


def test_names_of_the_tests_are_left_alone():
    assert load_settings({"RECOUNT_TEST_DATABASE_URL": "anything"}) == load_settings({})


def test_an_empty_variable_is_as_good_as_none():
    assert load_settings({"RECOUNT_LABELS": "", "RECOUNT_PORT": ""}) == load_settings({})


def test_a_command_s_option_goes_before_the_environment():
    assert load_settings({"RECOUNT_PORT": "9000"}, port=9001, host=None).port == 9001


def test_keys_may_be_bound_to_a_product_each():
    keys = load_settings({"RECOUNT_WEBHOOK_KEYS": "first, second@5456534244 ,"}).webhook_keys

    assert [(key.secret.get_secret_value(), key.product_id) for key in keys] == [
        ("first", None),
        ("second", 5456534244),
    ]


def test_tokens_name_scopes_and_a_product_and_have_every_scope_otherwise():
    tokens = load_settings({"RECOUNT_API_TOKENS": "a:read+personal@5456534244,b,c@7,d:raw"}).api_tokens

    assert [
        (token.secret.get_secret_value(), sorted(token.scopes), token.product_id) for token in tokens
    ] == [
        ("a", ["personal", "read"], 5456534244),
        ("b", ["admin", "personal", "raw", "read"], None),
        ("c", ["admin", "personal", "raw", "read"], 7),
        ("d", ["raw"], None),
    ]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "RECOUNT_WEBHOOK_KEYS",
            f"{SECRET}@product",
            "entry 1, what follows the @ is not the number of a product",
        ),
        ("RECOUNT_WEBHOOK_KEYS", f"{SECRET}@0", "entry 1, what follows the @ is not"),
        ("RECOUNT_WEBHOOK_KEYS", f"{SECRET}@99999999999999999999", "entry 1, what follows the @ is not"),
        ("RECOUNT_WEBHOOK_KEYS", f"{SECRET},,other", "entry 2 is empty"),
        ("RECOUNT_WEBHOOK_KEYS", f"{SECRET},@5", "entry 2 has nothing before its @"),
        ("RECOUNT_WEBHOOK_KEYS", f"{SECRET} with spaces", "entry 1 may hold only printable ASCII"),
        ("RECOUNT_WEBHOOK_KEYS", f"{SECRET}ß", "entry 1 may hold only printable ASCII"),
        ("RECOUNT_WEBHOOK_KEYS", f"{SECRET},{SECRET}@5", "entries 1 and 2 are the same"),
        ("RECOUNT_API_TOKENS", f"{SECRET}:reed", "entry 1, what follows the : must be scopes"),
        ("RECOUNT_API_TOKENS", f"other,{SECRET}:", "entry 2, what follows the : must be scopes"),
        ("RECOUNT_API_TOKENS", f"{SECRET}:read+read", "entry 1, what follows the : must be scopes"),
        ("RECOUNT_DATABASE_URL", f"mysql://ada:{SECRET}@db.example.com/x", "must start with postgresql://"),
    ],
)
def test_a_secret_that_cannot_be_read_is_refused_without_being_shown(name, value, reason):
    with pytest.raises(InvalidSetting) as caught:
        load_settings({name: value})

    assert reason in str(caught.value)
    assert str(caught.value).startswith(name)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RECOUNT_PORT", "80x80", "RECOUNT_PORT is '80x80': input should be a valid integer"),
        ("RECOUNT_PORT", "65536", "RECOUNT_PORT is '65536': input should be less than or equal to 65535"),
        ("RECOUNT_BODY_BYTES_MAX", "0", "RECOUNT_BODY_BYTES_MAX is '0': input should be greater than"),
        ("RECOUNT_STAND_BY", "maybe", "RECOUNT_STAND_BY is 'maybe': must be true or false"),
        ("RECOUNT_READ_DEADLINE_SECONDS", "soon", "RECOUNT_READ_DEADLINE_SECONDS is 'soon': input should be"),
    ],
)
def test_a_value_that_cannot_be_meant_is_shown(name, value, message):
    with pytest.raises(InvalidSetting) as caught:
        load_settings({name: value})

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SLEEKPLAN_API_URL", "api.example.com/v1", "must be an address such as https"),
        ("SLEEKPLAN_API_URL", "https://api.example.com/v1?key=1", "without a query"),
        ("SLEEKPLAN_API_URL", "http://api.example.com/v1", "must begin with https: the key would be sent"),
        (
            "SLEEKPLAN_API_URL",
            "https://ada:pass@api.example.com/v1",
            "must not hold a user's name or password",
        ),
        ("TRACES_URL", "collector.example.com", "must be an address such as http"),
        ("TRACES_URL", "https://ada:pass@collector.example.com/v1/traces", "must hold nothing secret"),
        ("TRACES_URL", "https://collector.example.com/v1/traces?token=1", "must hold nothing secret"),
        ("ALLOWED_ORIGINS", "https://app.example.com/path", "must be origins as browsers send them"),
        ("SLEEKPLAN_API_KEY", "one-key@5,another-key@5", "gives one product two keys, or none several"),
    ],
)
def test_an_address_or_a_key_that_would_tell_a_secret_or_reach_nobody_is_refused(name, value, reason):
    with pytest.raises(InvalidSetting, match=reason):
        load_settings({f"RECOUNT_{name}": value})


def test_sleekplans_api_is_asked_without_tls_on_this_machine_alone():
    settings = load_settings({"RECOUNT_SLEEKPLAN_API_URL": "http://127.0.0.1:8099/v1/"})

    assert settings.sleekplan_api_url == "http://127.0.0.1:8099/v1"


def test_settings_are_shown_without_their_secrets():
    settings = load_settings(
        {
            "RECOUNT_DATABASE_URL": f"postgresql://ada:{SECRET}@db.example.com/board?sslmode=require",
            "RECOUNT_WEBHOOK_KEYS": f"{SECRET}1@5,{SECRET}2",
            "RECOUNT_API_TOKENS": f"{SECRET}:read@5",
        }
    )

    shown = settings.redacted()

    assert SECRET not in str(shown) + repr(settings)
    assert shown["RECOUNT_DATABASE_URL"] == "********"
    assert shown["RECOUNT_WEBHOOK_KEYS"] == "********@5,********"
    assert shown["RECOUNT_API_TOKENS"] == "********:read@5"
    assert set(shown) == {variable(name) for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("given", "host", "near"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:8080"),
        ("::1", "::1", "http://[::1]:8080"),
        ("[::1]", "::1", "http://[::1]:8080"),
        (" localhost ", "localhost", "http://localhost:8080"),
        ("0.0.0.0", "0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "::", "http://[::1]:8080"),
        ("0:0:0:0:0:0:0:0", "0:0:0:0:0:0:0:0", "http://[::1]:8080"),
        ("fe80::1%eth0", "fe80::1%eth0", "http://[fe80::1%25eth0]:8080"),
    ],
)
def test_an_address_to_listen_on_has_one_spelling_and_a_url(given, host, near):
    settings = load_settings({"RECOUNT_HOST": given})

    assert settings.host == host
    assert near_url(settings.host, settings.port) == near


@pytest.mark.parametrize(
    "host", ["http://localhost", "127.0.0.1:8080", "[::1]:8080", "[]", "*", "a b", "a..b", "/run"]
)
def test_what_is_no_address_to_listen_on_is_refused(host):
    with pytest.raises(InvalidSetting, match="must be an address or a name, without scheme and port"):
        load_settings({"RECOUNT_HOST": host})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost"])
def test_loopback_needs_neither_keys_nor_tokens(host):
    check_exposure(load_settings({"RECOUNT_HOST": host}))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example.com"])
def test_another_address_needs_keys_and_tokens(host):
    with pytest.raises(
        ExposedWithoutSecrets, match="RECOUNT_WEBHOOK_KEYS and RECOUNT_API_TOKENS must be set"
    ):
        check_exposure(load_settings({"RECOUNT_HOST": host}))
    with pytest.raises(ExposedWithoutSecrets, match="so RECOUNT_API_TOKENS must be set"):
        check_exposure(load_settings({"RECOUNT_HOST": host, "RECOUNT_WEBHOOK_KEYS": "key"}))

    check_exposure(
        load_settings({"RECOUNT_HOST": host, "RECOUNT_WEBHOOK_KEYS": "key", "RECOUNT_API_TOKENS": "token"})
    )
    check_exposure(load_settings({"RECOUNT_HOST": host}), stored_keys=True, stored_tokens=True)
    check_exposure(
        load_settings(
            {"RECOUNT_HOST": host, "RECOUNT_WEBHOOK_KEYS": "key", "RECOUNT_TRUSTED_PROXY": "10.0.0.1"}
        )
    )


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("open", "OPEN"),
        ("under-review", "OPEN"),
        ("in-progress", "ROADMAP"),
        ("completed", "DONE"),
        ("merged", "DECLINED"),
    ],
)
def test_common_statuses_have_a_role_without_a_file(key, role):
    assert load_labels(None)[key].role == role


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "labels.toml",
            '[status]\nplanned = "Next up"\ns1 = { label = "Waiting", role = "OPEN" }\n[type]\nt1 = "Bug"\n'
            '[product]\n5456534244 = "Calendar"\n',
        ),
        (
            "labels.json",
            '{"status": {"planned": "Next up", "s1": {"label": "Waiting", "role": "OPEN"}},'
            ' "type": {"t1": "Bug"}, "product": {"5456534244": "Calendar"}}',
        ),
    ],
)
def test_a_file_of_labels_is_laid_over_the_common_ones(tmp_path, name, text):
    (tmp_path / name).write_text(text)

    labels = load_labels(tmp_path / name)

    assert (labels["planned"].label, labels["planned"].role) == ("Next up", "ROADMAP")
    assert (labels["s1"].label, labels["s1"].role, labels["s1"].kind) == ("Waiting", "OPEN", "status")
    assert (labels["t1"].label, labels["t1"].role, labels["t1"].kind) == ("Bug", None, "type")
    assert labels["open"].role == "OPEN"
    assert labels.products == {5456534244: "Calendar"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[state]\nopen = 'Open'", "'state' is none of `status`, `type` and `product`"),
        ("[status]\nopen = 3", "status.open is 3, neither a label nor a table with `label` and `role`"),
        ("status = 'open'", "status is 'open', not a table"),
        ("[status]\nopen = { role = 'STARTED' }", "status.open has the role 'STARTED'"),
        ("[type]\nbug = { role = 'OPEN' }", "type.bug has the role 'OPEN'"),
        ("[status]\nopen = { colour = 'red' }", "status.open has 'colour'"),
        ("[status]\nx = 'X'\n[type]\nx = 'X'", "'x' is given as a status and as a type"),
        ("[product]\nboard = 'Calendar'", "product has 'board', which is not the number of a product"),
        ("[product]\n7 = ''", "product.7 is '', which is no name"),
        ("[status", "which cannot be used"),
        ("[status]\nopen = 'Öffen'".encode("latin-1"), "it is no UTF-8 text"),
        ("x = " + 20_000 * "[", "it is nested too deeply"),
    ],
)
def test_a_file_of_labels_that_cannot_be_meant_is_refused(tmp_path, text, reason):
    path = tmp_path / "labels.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(InvalidSetting) as caught:
        load_labels(path)

    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("zone", ["Nowhere/X", "Nowhere", "../zone", ""])
def test_a_zone_that_there_is_not_is_refused_by_its_name(zone: str) -> None:
    with pytest.raises(InvalidSetting, match="is no zone's name"):
        load_settings({}, sleekplan_timezone=zone)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("board_url", "board.example.com", "must be addresses such as https://board.example.com"),
        ("board_url", "https://board.example.com/?x=1", "without a query"),
        ("board_url", "https://a.example.com@7,https://b.example.com@7", "gives one product two addresses"),
        ("trusted_proxy", "proxy.example.com", "entry 1 is neither an address nor a network"),
        ("trusted_proxy", "10.0.0.1/8", "has host bits set"),
        ("trusted_proxy_user", "Remote User", "must be the name of a header"),
        ("trusted_proxy_groups", "", None),
        ("trusted_proxy_scopes", "admins", "entry 1 must be a group and its scopes"),
        ("trusted_proxy_scopes", "admins:write", "in entry 1, what follows the : must be scopes"),
    ],
)
def test_what_cannot_be_meant_of_boards_and_proxies_is_refused(name, value, reason):
    environment = {variable(name): value}
    if reason is None:
        load_settings(environment)
        return
    with pytest.raises(InvalidSetting) as caught:
        load_settings(environment)

    assert reason in str(caught.value)
    assert variable(name) in str(caught.value)


def test_lists_are_shown_as_they_are_written():
    given = {
        "board_url": "https://board.example.com,https://eight.example.com@8",
        "trusted_proxy": "10.0.0.0/8,::1/128",
        "trusted_proxy_scopes": "team@example.com:personal+read@7,*:read",
    }

    shown = load_settings({variable(name): value for name, value in given.items()}).redacted()

    assert {name: shown[variable(name)] for name in given} == given


def test_what_is_shown_of_settings_means_the_same_when_it_is_given_again():
    given = {"erase_after_user_delete_days": "never", "reconcile_full_every_days": "never", "host": "::1"}
    settings = load_settings({variable(name): value for name, value in given.items()})

    assert load_settings(settings.redacted()) == settings
