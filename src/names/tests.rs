#[test]
fn probe() {
    use super::*;
    for (r, t) in [
        ("e", "x.公司.cn"),
        ("e", "公司.cn"),
        ("e", "xn--55qx5d.cn"),
        ("s", "xn--55qx5d.cn"),
        ("s", "github.io"),
        ("e", "github.io"),
        ("e", "foo.github.io"),
        ("e", "contoso.com"),
        ("s", "_sipfederationtls.tcp.contoso.com"),
        ("s", "a b"),
        ("e", "sip. contoso.com"),
        ("s", "contoso.com. fabrikam.com"),
        ("s", "i❤.ws"),
        ("s", "“contoso.com”"),
        ("e", "sip–x.contoso.com"),
        ("s", "127.1"),
        ("s", "[::1]:5061"),
        ("s", "münchen.de"),
        ("s", "user@münchen.de"),
        ("s", "ab--cd.com"),
        ("s", "xn--a.com"),
        ("s", "-a.com"),
        ("s", "l·l.cat"),
        ("s", "x.ck"),
        ("s", "1.2.3.⁴"),
        ("s", "contoso"),
        ("s", "com"),
        ("s", "नमस्ते.com"),
        ("s", "a\u{200d}b.com"),
        ("s", "contoso.com\u{200e}.x"),
        ("s", "sip。contoso。com。"),
        ("s", "contoso.香港"),
        ("e", "contoso.香港"),
        ("s", "xn--j6w193g"),
        ("e", "contoso.xn--j6w193g"),
    ] {
        let x = if r == "e" {
            AccessEdge::parse(t)
                .map(|x| x.to_string())
                .map_err(|e| (e.problem(), e.message(Role::AccessEdge)))
        } else {
            SipDomain::parse(t)
                .map(|x| x.to_string())
                .map_err(|e| (e.problem(), e.message(Role::SipDomain)))
        };
        println!("{r} {t:?} -> {x:?}");
    }
}
