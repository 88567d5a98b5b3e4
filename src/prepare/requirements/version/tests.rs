//! The order of versions, and conditions on them.
//!
//! The tables named PACKAGING_* state facts that the tests of PyPA's `packaging` 26.3 assert (test_version.py and
//! test_specifiers.py), in a layout of our own. The `packaging` 21.3 in pip 23.2.1 agrees with them, except where
//! [`PACKAGING_DIFFERENCES`] says so.

use super::{Specifiers, Version};

/// Returns the version of a text that must be one.
#[track_caller]
fn version(text: &str) -> Version {
    Version::parse(text).unwrap_or_else(|| panic!("{text:?} is not read as a version"))
}

/// Returns true if the installed version meets the conditions.
#[track_caller]
fn holds(specifiers: &str, installed: &str) -> bool {
    let parsed = Specifiers::parse(specifiers).unwrap_or_else(|| panic!("{specifiers:?} is not read as conditions"));
    parsed.hold_for(&version(installed))
}

/// Asserts that each version precedes all that follow it.
fn assert_ascending(texts: &[&str]) {
    let versions: Vec<Version> = texts.iter().map(|text| version(text)).collect();
    for (a, left) in versions.iter().enumerate() {
        for (b, right) in versions.iter().enumerate() {
            assert_eq!(left.compare(right), a.cmp(&b), "{} {}", texts[a], texts[b]);
        }
    }
}

#[test]
fn versions_are_ordered_as_pep_440_says() {
    let order = [
        "1.dev0",
        "1.0.dev456",
        "1.0a1",
        "1.0a2.dev456",
        "1.0a12.dev456",
        "1.0a12",
        "1.0b1.dev456",
        "1.0b2",
        "1.0b2.post345.dev456",
        "1.0b2.post345",
        "1.0rc1.dev456",
        "1.0rc1",
        "1.0",
        "1.0+abc.5",
        "1.0+abc.7",
        "1.0+5",
        "1.0.post456.dev34",
        "1.0.post456",
        "1.0.15",
        "1.1.dev1",
        "1!0.1",
    ];
    assert_ascending(&order);
    for (left, right) in
        [("1.0", "1"), ("v1.0-alpha.1", "1a1"), ("1.0-1", "1.0.post1"), ("1.0_rev2", "1.post2"), ("1C1", "1rc1")]
    {
        assert_eq!(Version::parse(left), Version::parse(right));
    }
    for text in ["", "x", "1.", "1.0x", "1.0+", "1..0", "1.0 2"] {
        assert_eq!(Version::parse(text), None, "{text}");
    }
}

#[test]
fn conditions_hold_as_pip_decides() {
    for (specifiers, installed, expected) in [
        ("", "1.0", true),
        ("==1.0", "1.0+cu121", true),
        ("==1.0+cu121", "1.0", false),
        ("== 1.0 , !=1.0.1", "1", true),
        ("!=1.0", "1.0+cpu", false),
        ("==2.*", "2.3.1", true),
        ("==2.*", "20.1", false),
        ("!=2.3.*", "2.3", false),
        ("<=1.0", "1.0+cpu", true),
        ("<2", "2.0rc1", false),
        ("<2.0rc2", "2.0rc1", true),
        ("<2", "1.9rc1", true),
        (">1.0", "1.0.post1", false),
        (">1.0", "1.0+cpu", false),
        (">1.0", "1.0.1+cpu", true),
        (">=1.0", "2.0b1", true),
        ("~=1.4.5", "1.4.9", true),
        ("~=1.4.5", "1.5", false),
        ("~=2.2", "2.9", true),
        (">=1,<2", "2.0", false),
    ] {
        assert_eq!(holds(specifiers, installed), expected, "{specifiers} {installed}");
    }
    for text in ["===1.0", "1.0", "=1.0", "~=1", ">=1.*", ">=1.0+x", "==x"] {
        assert_eq!(Specifiers::parse(text), None, "{text}");
    }
}

/// Versions in ascending order.
const PACKAGING_ORDER: &[&str] = &[
    "1.0.dev0",
    "1.0.dev456",
    "1.0.dev456+local",
    "1.0a0",
    "1.0a0.post0.dev0",
    "1.0a0.post0",
    "1.0a1.dev1",
    "1.0a1.dev1+local",
    "1.0a1",
    "1.0a1+local",
    "1.0b0",
    "1.0b1.dev456",
    "1.0b2",
    "1.0b2.post345.dev456",
    "1.0b2.post345",
    "1.0b2-346",
    "1.0rc0",
    "1.0rc1.dev1",
    "1.0c1",
    "1.0rc2",
    "1.0",
    "1.0.post0.dev0",
    "1.0.post0",
    "1.0.post456.dev34",
    "1.0.post456",
    "1.0.post456+local",
    "1.0.1.dev1",
    "1.0.1a1",
    "1.0.1",
    "1.0.1+local",
    "1.0.1.post1",
    "1.1.dev1",
    "1.2+a",
    "1.2+abc",
    "1.2+abcdef",
    "1.2+def",
    "1.2+0",
    "1.2+1",
    "1.2+1.abc",
    "1.2+1.1",
    "1.2+1.1.0",
    "1.2+2",
    "1.2+123",
    "1.2+123456",
    "1.2.r32+123456",
    "1.2.rev33+123456",
];

#[test]
fn packagings_versions_are_in_its_order_in_each_epoch_and_across_epochs() {
    let later: Vec<String> = PACKAGING_ORDER.iter().map(|text| format!("1!{text}")).collect();
    let all: Vec<&str> = PACKAGING_ORDER.iter().copied().chain(later.iter().map(String::as_str)).collect();
    assert_ascending(&all);
}

/// A version in its normal form, and other spellings of it; `~` stands for each of no separator, `.` and `-`.
const PACKAGING_SPELLINGS: &[(&str, &str)] = &[
    ("1.0.dev0", "1.0~dev 1.0~DEV"),
    ("1.0.dev1", "1.0~dev1 1.0~DEV1"),
    ("1.0a0", "1.0~a 1.0~alpha 1.0~A 1.0~ALPHA"),
    ("1.0a1", "1.0~a1 1.0~alpha1 1.0~A1 1.0~ALPHA1"),
    ("1.0b0", "1.0~b 1.0~beta 1.0~B 1.0~BETA"),
    ("1.0b1", "1.0~b1 1.0~beta1 1.0~B1 1.0~BETA1"),
    ("1.0rc0", "1.0~c 1.0~rc 1.0~C 1.0~RC"),
    ("1.0rc1", "1.0~c1 1.0~rc1 1.0~C1 1.0~RC1"),
    ("1.0.post0", "1.0~post 1.0~POST 1.0r 1.0rev 1.0.post000"),
    ("1.0.post1", "1.0~post1 1.0~POST1 1.0.r1 1.0.rev1"),
    ("1.0.post5", "1.0-5 1.0-r5 1.0-rev5"),
    ("1.0+abc", "1.0+AbC"),
    ("1.1", "1.01"),
    ("1.0a5", "1.0a05"),
    ("1.0b7", "1.0b07"),
    ("1.0rc56", "1.0c056"),
    ("1.0rc9", "1.0rc09"),
    ("1.1.dev9000", "1.1.dev09000"),
    ("1.2", "00!1.2"),
    ("100!0.0", "0100!0.0"),
    ("1.0", "v1.0"),
];

#[test]
fn packagings_other_spellings_are_read_as_the_normal_version() {
    for (normal, spellings) in PACKAGING_SPELLINGS {
        for spelling in spellings.split(' ') {
            for separator in ["", ".", "-"] {
                let text = spelling.replace('~', separator);
                assert_eq!(version(&text), version(normal), "{text}");
            }
        }
    }
    for text in ["   v1.0\t\n", "\u{202f}1.0\t\u{2029}\n "] {
        assert_eq!(version(text), version("1.0"), "{text:?}");
    }
}

#[test]
fn texts_that_packaging_refuses_are_not_versions() {
    let refused = [
        "french toast",
        "1.0+a+",
        "1.0++",
        "1.0++5",
        "1.0+_foobar",
        "1.0+foo&asd",
        "1.0+1+1",
        "1. 0",
        "1 .0",
        "1. 0a1",
        "1 .0a1",
        "1.0 a1",
        "1.0a 1",
        "٠١٢.٣٤٥.٦٧٨٩",
        ".",
        "..",
        "1..0",
        "1.0.",
        ".1.0",
        "1..2.3",
        "1.0+\u{130}",
        "+1!1.0",
    ];
    for text in refused {
        assert_eq!(Version::parse(text), None, "{text}");
    }
    // Python refuses numbers of more than 4,300 digits; numbers of more than 64 bits are left to the installer here.
    assert_eq!(Version::parse(&"1".repeat(5000)), None);
    assert_eq!(Version::parse(&format!("1.0a{}", "1".repeat(5000))), None);
}

/// A condition, installed versions that meet it, and installed versions that do not.
const PACKAGING_CONDITIONS: &[(&str, &str, &str)] = &[
    ("==2", "2.0 2.0+deadbeef", "2.1"),
    ("==2.0", "2.0 2.0+deadbeef", "2.1"),
    ("==2.0.0", "2.0 2.0+deadbeef", "2.1"),
    ("==2+deadbeef", "2.0+deadbeef", ""),
    ("==2.0+deadbeef", "2.0+deadbeef", "2.0"),
    ("==2.0.0+deadbeef", "2.0+deadbeef", ""),
    ("==2.0.0+deadbeef.00", "2.0+deadbeef.0", ""),
    ("==2.*", "2.dev1 2a1 2a1.post1 2b1 2b1.dev1 2c1 2c1.post1.dev1 2rc1 2 0!2 2.0 2.0.0", ""),
    ("==2.0.*", "2 2.0.0.0 2.0a1.dev1", "2.1 2.1.0.0"),
    ("==2.0.0.*", "2", "3"),
    ("==2.1.*", "2.1+local.version", ""),
    ("==2!1.*", "2!1.0 2!1.0.0", "1.0"),
    ("==2!1.0", "2!1.0", "1.0"),
    ("==2!1.0.*", "2!1.0.0", ""),
    ("==3.*", "", "2.0"),
    ("==1.0", "", "2!1.0"),
    ("==1.0.0.*", "", "2!1.0"),
    ("==2!1.0.0.*", "", "1.0"),
    ("==1.*", "", "2!1.0"),
    ("!=2", "2.1 2.0.1", "2.0 2.0+deadbeef"),
    ("!=2.0", "2.1 2.0.1", "2.0 2.0+deadbeef"),
    ("!=2.0.0", "2.0.1", "2.0 2.0+deadbeef"),
    ("!=2.0+deadbeef", "2.0", "2.0+deadbeef"),
    ("!=3.*", "2.0", ""),
    ("!=2.0.*", "2.1 2.1.0.0", "2 2.0.0.0"),
    ("!=2.0.0.*", "3", "2"),
    ("!=1.0", "2!1.0", ""),
    ("!=2!1.0", "1.0", "2!1.0"),
    ("!=2+deadbeef", "", "2.0+deadbeef"),
    ("!=2.0.0+deadbeef", "", "2.0+deadbeef"),
    ("!=2.0.0+deadbeef.00", "", "2.0+deadbeef.0"),
    ("!=2.*", "", "2.dev1 2a1 2a1.post1 2b1 2b1.dev1 2c1 2c1.post1.dev1 2rc1 2 2.0 2.0.0"),
    (
        ">=2",
        "2.0 2.0.post1 2.0.post1.dev1 3",
        "2.0.dev1 2.0a1 2.0a1.dev1 2.0b1 2.0b1.post1 2.0c1 2.0c1.post1.dev1 2.0rc1 1",
    ),
    (">=2.0", "2.0 2!1.0", ""),
    (">=2.0.0", "2.0", ""),
    (">=3.0.0a7", "3.0.0a8", ""),
    (">=1.0", "2.0.dev1", ""),
    (">=2.0.dev1", "2.0a1", ""),
    (
        "<=2",
        "2.0 2.0.dev1 2.0a1 2.0a1.dev1 2.0b1 2.0b1.post1 2.0c1 2.0c1.post1.dev1 2.0rc1 1",
        "2.0.post1 2.0.post1.dev1 3",
    ),
    ("<=2.0", "2.0 1.0.dev1", ""),
    ("<=2.0.0", "2.0", ""),
    ("<=3.0.0a8", "3.0.0a7", ""),
    ("<=2!0.1", "1.0", ""),
    ("<=2.0.dev1", "1.0a1", ""),
    (
        ">2",
        "3 2.0.1 2.1.post1 2.1+local.version",
        "1 2.0.dev1 2.0a1 2.0a1.post1 2.0b1 2.0b1.dev1 2.0c1 2.0c1.post1.dev1 2.0rc1 2.0 2.0.post1 2.0.post1.dev1 2.0+local.version",
    ),
    (">2.0", "2.1 2!1.0", ""),
    (">3.0.0a7", "3.0.0a8", ""),
    (">2.0dev", "2.0.5", ""),
    (">4.1.0a2.dev1234", "", "4.1.0a2.dev1234+local"),
    (">1.0a1", "", "1.0a1+local 1.0a1.post0"),
    (">1.0b1", "", "1.0b1+local"),
    (">1.0rc1", "", "1.0rc1+local 1.0rc1.post0"),
    (">1.0.post1", "", "1.0.post1+local"),
    (">1.0.dev1", "1.0.dev2 1.0 1.0a1 1.1 1.1.post0", "1.0.dev1+local 1.0.dev0 0.9.post0"),
    (">1.0a1.dev1", "", "1.0a1.dev1+local"),
    (">1.0.post1.dev1", "", "1.0.post1.dev1+local"),
    (">1.0b2", "", "1.0b2.post0"),
    (">1.0", "2.0.post0", "1.0.post0 1.0.post1 0.9.post0"),
    ("<2", "1", "2.0.dev1 2.0a1 2.0a1.post1 2.0b1 2.0b2.dev1 2.0c1 2.0c1.post1.dev1 2.0rc1 2.0 2.post1 2.post1.dev1 3"),
    ("<2.1", "2.0 2.0.dev0", ""),
    ("<3.0.0a8", "3.0.0a7", ""),
    ("<2!0.1", "1.0", ""),
    ("<2.0", "", "2.0a1"),
    ("<2.0a2", "2.0a1", ""),
    ("<1.0.post1", "1.0 1.0.post0 0.9 1.0+local 1.0.post0+local 0.9.dev0", "1.0.post1.dev0"),
    ("<1.0.post0", "1.0", "1.0.post0.dev0"),
    ("<1.0.post10", "1.0.post9", ""),
    ("~=1.0", "1 1.0.1 1.1 1.9999999", "2.0 2!1.0"),
    ("~=1.0a1", "1.1", ""),
    ("~=2!1.0", "2!1.0", "1.0"),
    ("~=1.0.0", "", "1.1.0 1.1.post1"),
];

/// Conditions that the releases of `packaging` answer differently: the condition, installed versions, and the answer of
/// this crate. Each `true` is the answer of 26.3 and of PEP 440. Each `false` is the stricter of the two answers.
const PACKAGING_DIFFERENCES: &[(&str, &str, bool)] = &[
    ("==2.0.*", "2c1.post1.dev1 2rc1", true),
    ("!=2.0.*", "2c1.post1.dev1 2rc1", false),
    ("==0!2.*", "2", true),
    ("==2!1.0.0.0.*", "2!1.0.0", true),
    ("~=2022.01.01", "2022.01.01", true),
    (">1.0.dev0", "1.0.post0", false),
    (">1.0.dev1", "1.0+local 1.0.dev2+local 1.0.post0 1.0.post1", false),
    (">4.1.0a2.dev1234", "4.1.0a2.dev1235+local", false),
    (">1.0a1", "1.0a2+local 1.0.post0 1.0a2.post0", false),
    (">1.0b1", "1.0b2+local 1.0.post0 1.0b2.post0", false),
    (">1.0rc1", "1.0rc2+local 1.0.post0", false),
    (">1.0a1.dev1", "1.0a1.dev2+local", false),
    (">1.0.post1", "1.0.post2+local", false),
    (">1.0.post1.dev1", "1.0.post1.dev2+local", false),
    ("<1.0.post0", "1.0.dev0 1.0a1 1.0b1 1.0rc2", false),
    ("<1.0.post1", "1.0.dev0 1.0a1 1.0rc1 1.0.post0.dev0", false),
    ("<1.0.post2", "1.0.post1.dev0", false),
    ("<1.0.post10", "1.0.dev0 1.0.post9.dev0", false),
];

#[test]
fn packagings_conditions_hold_for_its_versions() {
    let mut count = 0;
    for (condition, met_by, not_met_by) in PACKAGING_CONDITIONS {
        for (versions, expected) in [(met_by, true), (not_met_by, false)] {
            for installed in versions.split_whitespace() {
                assert_eq!(holds(condition, installed), expected, "{condition} {installed}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 203);
}

#[test]
fn a_disputed_condition_has_the_documented_answer() {
    for (condition, versions, expected) in PACKAGING_DIFFERENCES {
        for installed in versions.split(' ') {
            assert_eq!(holds(condition, installed), *expected, "{condition} {installed}");
        }
    }
}

#[test]
fn texts_that_packaging_refuses_are_not_conditions() {
    let refused = [
        "2.0",
        "=>2.0",
        "==",
        "~=1.0+5",
        ">=1.0+deadbeef",
        "<=1.0+abc123",
        ">1.0+watwat",
        "<1.0+1.0",
        "~=1.0.*",
        ">=1.0.*",
        "<=1.0.*",
        ">1.0.*",
        "<1.0.*",
        "==1.0.*+5",
        "!=1.0.*+deadbeef",
        "==2.0a1.*",
        "!=2.0a1.*",
        "==2.0.post1.*",
        "!=2.0.post1.*",
        "==2.0.dev1.*",
        "!=2.0.dev1.*",
        "==1.0+5.*",
        "!=1.0+deadbeef.*",
        "==1.0.*.5",
        "~=1",
        "==1.0.dev1.*",
        "!=1.0.dev1.*",
        "==1.2+\u{130}",
        "==1.2+\u{130}\u{131}\u{17f}K",
        "~=1.2.3prev\u{131}ew1",
        "~=1.2.3po\u{17f}t1",
    ];
    for text in refused {
        assert_eq!(Specifiers::parse(text), None, "{text}");
    }
}
