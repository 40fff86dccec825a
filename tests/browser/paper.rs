//! Checks what is printed on paper, and what is not.

use serde_json::json;

use crate::{
    gallery::Gallery,
    support::page::{Page, Scheme},
};

/// Prints a page of the gallery from a dark screen; returns the words on the paper.
async fn printed(gallery: &Gallery, page: &Page, name: &str) -> String {
    let exhibit = gallery
        .exhibits
        .iter()
        .find(|exhibit| exhibit.name == name)
        .unwrap();
    gallery.visit(page, exhibit).await;
    // As the printer sees it, from a screen that is dark.
    page.media("", Scheme::Dark).await;
    let pdf = page.print(name).await;
    assert!(pdf.starts_with(b"%PDF-"));
    page.media("print", Scheme::Dark).await;
    let look = page
        .eval(
            "const style = css => getComputedStyle(document.querySelector(css));
            const shown = css => [...document.querySelectorAll(css)].filter(e => e.checkVisibility()).length;
            return { paper: style('body').backgroundColor, ink: style('h1').color, text: style('main p').color,
                buttons: shown('button, .govuk-button, input'), menu: shown('header, footer'),
                hostless: [...document.querySelectorAll('a[href^=\"/\"]')]
                    .filter(it => getComputedStyle(it, '::after').content.includes('(')).length }",
        )
        .await;
    let clear = "rgba(0, 0, 0, 0)";
    let black = "rgb(0, 0, 0)";
    assert_eq!(
        look,
        json!({ "paper": clear, "ink": black, "text": black, "buttons": 0, "menu": 0, "hostless": 0 }),
        "{name}"
    );
    page.eval_text("return document.body.innerText").await
}

#[tokio::test]
async fn the_receipt_carries_the_key_and_the_status_never_does() {
    let gallery = Gallery::open().await;
    let (_browser, page) = gallery.sound.browser().await;
    let receipt = printed(&gallery, &page, "receipt").await;
    let key = page
        .eval_text("return document.querySelector('[data-management-key]').textContent")
        .await;
    let large = "const it = document.querySelector('[data-management-key]');
        return parseFloat(getComputedStyle(it).fontSize) >= 16";
    assert_eq!(page.eval(large).await, true, "the key is no small print");
    let reference = page.path().await.split('/').nth(2).unwrap().to_owned();
    assert!(
        receipt.contains(&key) && receipt.contains(&reference),
        "{receipt}"
    );
    assert!(
        receipt.contains(&format!("{}/requests/{reference}", gallery.sound.origin)),
        "{receipt}"
    );
    for kept in ["1234567", "sip.contoso.com", "contoso.com"] {
        assert!(receipt.contains(kept), "{kept}: {receipt}");
    }
    let status = printed(&gallery, &page, "status-pending").await;
    assert!(
        status.contains(&reference) && status.contains("sip.contoso.com"),
        "{status}"
    );
    assert!(
        !status.contains(&key) && !status.contains("Management key"),
        "{status}"
    );
    let held = printed(&gallery, &page, "status-needs-action").await;
    assert!(
        held.contains("Another service holds the domain") && held.contains("contoso.com"),
        "{held}"
    );
    page.assert_quiet(&[]).await;
}
