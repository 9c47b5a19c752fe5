"use strict"
// Cards beside the links of the text: what a link names is in one of the page's templates (book/_ext/cards.py).
// A pointer over the link or the keyboard's focus on it shows the card, and so does a first tap; a second follows
// the link. Esc closes it.
{
    const WAIT = 150  // ms: a pointer that only passes by shows nothing
    const STAY = 250  // ms: time to move the pointer onto the card
    const GAP = 6  // px, between the link and its card
    const MARGIN = 8  // px, between the card and the window's edge

    const templates = [...document.querySelectorAll("template")].filter((tag) => tag.className == "card-of")
    const cards = new Map(templates.map((template) => [template.dataset.link, template]))

    const card = document.createElement("div")
    card.id = "card"
    card.className = "bd-article card-shown"
    card.setAttribute("role", "tooltip")
    card.hidden = true
    if (cards.size) document.body.append(card)

    /** @type {Element | null} */
    let shown = null
    /** @type {Element | null} */
    let tapped = null
    let timer = 0

    /**
     * The link of the text, with a card, in which something happened.
     * @param {Event} event
     */
    function linkOf(event) {
        const link = event.target instanceof Element ? event.target.closest("article a.reference") : null
        return link && cards.has(link.getAttribute("href") ?? "") ? link : null
    }

    /** @param {Event} event */
    const onCard = (event) => event.target instanceof Node && card.contains(event.target)

    /**
     * @param {() => void} action
     * @param {number} [wait] in milliseconds
     */
    function later(action, wait) {
        clearTimeout(timer)
        timer = setTimeout(action, wait)
    }

    function hide() {
        clearTimeout(timer)
        shown?.removeAttribute("aria-describedby")
        shown = null
        card.hidden = true
        card.replaceChildren()
    }

    /** Sets the formulas and waits for the pictures: from then on the card keeps its size. */
    async function settle() {
        const { MathJax } = /** @type {any} */ (window)
        if (MathJax?.typesetPromise && card.querySelector(".math")) {
            MathJax.typesetClear([card])
            await MathJax.typesetPromise([card])
            for (const formula of card.querySelectorAll("[tabindex]")) formula.removeAttribute("tabindex")
        }
        await Promise.all([...card.querySelectorAll("img")].map((image) => image.decode().catch(() => {})))
    }

    /**
     * Lays the card below the link or above it, where there is more room, inside the window.
     * @param {Element} link
     */
    function place(link) {
        const word = link.getBoundingClientRect()
        const room = document.documentElement
        const above = word.top - GAP - MARGIN
        const below = room.clientHeight - word.bottom - GAP - MARGIN
        card.style.maxHeight = `${Math.max(above, below)}px`
        const { offsetWidth: width, offsetHeight: height } = card
        const top = height <= below || below >= above ? word.bottom + GAP : word.top - GAP - height
        const left = Math.max(MARGIN, Math.min(word.left, room.clientWidth - width - MARGIN))
        card.style.top = `${top + scrollY}px`
        card.style.left = `${left + scrollX}px`
    }

    /** @param {Element} link */
    async function show(link) {
        clearTimeout(timer)
        if (shown == link) return
        hide()
        shown = link
        link.removeAttribute("title")  // else the browser shows it over the card
        link.setAttribute("aria-describedby", card.id)
        card.replaceChildren(/** @type {HTMLTemplateElement} */ (cards.get(link.getAttribute("href") ?? "")).content.cloneNode(true))
        card.style.cssText = "left: 0; top: 0; visibility: hidden"
        card.hidden = false
        await settle()
        if (shown != link) return
        place(link)
        card.style.visibility = ""
    }

    document.addEventListener("pointerover", (event) => {
        if (event.pointerType == "touch") return
        const link = linkOf(event)
        if (link) later(() => show(link), WAIT)
        else if (onCard(event)) clearTimeout(timer)
        else if (!shown?.matches(":focus-visible")) later(hide, STAY)
    })
    document.addEventListener("focusin", (event) => {
        const link = linkOf(event)
        if (link?.matches(":focus-visible")) show(link)
    })
    document.addEventListener("focusout", (event) => {
        if (event.target == shown) hide()
    })
    document.addEventListener("pointerdown", (event) => {
        const link = linkOf(event)
        tapped = event.pointerType != "mouse" && link != shown ? link : null
        if (!link && !onCard(event)) hide()
    })
    document.addEventListener("click", (event) => {
        const link = linkOf(event)
        if (link && link == tapped) {
            event.preventDefault()
            show(link)
        } else if (link) hide()
        tapped = null
    })
    document.addEventListener("keydown", (event) => {
        if (event.key == "Escape") hide()
    })
    addEventListener("resize", hide)
}
