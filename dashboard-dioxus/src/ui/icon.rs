//! The icons.

use dioxus::prelude::*;

/// The icons, drawn on a grid of 16 pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IconName {
    Account,
    Archive,
    ArrowDown,
    ArrowUp,
    Audit,
    Bell,
    Bucket,
    ChevronDown,
    ChevronLeft,
    ChevronRight,
    ChevronUp,
    ChevronsUpDown,
    Clock,
    Close,
    Columns,
    Copy,
    Database,
    Dots,
    Download,
    Eye,
    File,
    Filter,
    Folder,
    ForeignKey,
    Function,
    Globe,
    Image,
    Key,
    Keyboard,
    List,
    Lock,
    Menu,
    Overview,
    Play,
    Plug,
    Plus,
    Project,
    Refresh,
    Save,
    Search,
    Settings,
    Sidebar,
    Snooze,
    Sort,
    Sql,
    Stop,
    Table,
    Theme,
    Trash,
    Unlocked,
    Upload,
    View,
}

impl IconName {
    const fn drawing(self) -> &'static str {
        match self {
            Self::Database => {
                r#"<ellipse cx="8" cy="4" rx="5" ry="1.9"/><path d="M3 4v8c0 1 2.200 1.900 5 1.900s5-.9 5-1.900V4M3 8c0 1 2.200 1.900 5 1.900S13 9 13 8"/>"#
            }
            Self::Globe => {
                r#"<circle cx="8" cy="8" r="5.800"/><path d="M2.200 8h11.600M8 2.200c1.800 1.600 2.600 3.600 2.600 5.800S9.800 12.200 8 13.800C6.200 12.200 5.400 10.200 5.400 8S6.200 3.800 8 2.200"/>"#
            }
            Self::Function => r#"<path d="M10.5 2.5c-2 0-2.5 1-2.8 3L6.8 11c-.3 1.8-.9 2.5-2.3 2.5M5 6.5h5"/>"#,
            Self::List => r#"<path d="M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4v.1M2.5 8v.1M2.5 12v.1"/>"#,
            Self::Play => r#"<path d="M4.5 2.8v10.4L13 8z"/>"#,
            Self::Save => r#"<path d="M4 2.5h8v11H4zM6.5 6h3M6.5 9h3"/>"#,
            Self::Account => {
                r#"<circle cx="8" cy="8" r="6"/><circle cx="8" cy="6.5" r="2"/><path d="M4.3 12.5C5 10.9 6.3 10.2 8 10.2s3 .7 3.7 2.3"/>"#
            }
            Self::Archive => r#"<path d="M2 3h12v3H2zM3 6v7h10V6M6.500 8.500h3"/>"#,
            Self::ChevronUp => r#"<path d="m4.500 9.500 3.500-3.500 3.500 3.500"/>"#,
            Self::Clock => r#"<circle cx="8" cy="8" r="5.800"/><path d="M8 4.800V8l2.200 1.400"/>"#,
            Self::Download => r#"<path d="M8 2.500v7.500M5 7.200l3 3 3-3M2.500 13.500h11"/>"#,
            Self::Plug => r#"<path d="M6 2v3M10 2v3M4 5h8v2.500a4 4 0 0 1-8 0zM8 11.500V14"/>"#,
            Self::Stop => r#"<rect x="4" y="4" width="8" height="8" rx="1"/>"#,
            Self::ArrowDown => r#"<path d="M8 3v10M4 9l4 4 4-4"/>"#,
            Self::ArrowUp => r#"<path d="M8 13V3M4 7l4-4 4 4"/>"#,
            Self::Audit => r#"<path d="M3.5 2.5h9v11h-9zM6 5.5h4M6 8h4M6 10.5h2"/>"#,
            Self::Bell => {
                r#"<path d="M3.5 11.5c.8-.9 1-2 1-4.3a3.5 3.5 0 0 1 7 0c0 2.3.2 3.4 1 4.3zM6.7 13.8a1.6 1.6 0 0 0 2.6 0"/>"#
            }
            Self::Bucket => {
                r#"<path d="M2.5 5.5h11l-1 7.1a1 1 0 0 1-1 .9h-7a1 1 0 0 1-1-.9z"/><path d="M2 5.5c0-1.9 2.7-3 6-3s6 1.1 6 3"/>"#
            }
            Self::File => r#"<path d="M4 2.5h5L12.5 6v7.5H4zM9 2.5V6h3.5"/>"#,
            Self::Folder => {
                r#"<path d="M1.5 4.5a1 1 0 0 1 1-1h3.3l1.7 2h6a1 1 0 0 1 1 1v5.5a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1z"/>"#
            }
            Self::Image => {
                r#"<rect x="2.5" y="2.5" width="11" height="11" rx="1.5"/><circle cx="6" cy="6" r="1.2"/><path d="m3 12 3.5-3.2L9 11l2-1.8 2.5 2.3"/>"#
            }
            Self::Upload => r#"<path d="M8 10.5V3M4.8 6 8 2.8 11.2 6M2.5 13.5h11"/>"#,
            Self::ChevronDown => r#"<path d="m4.5 6.5 3.5 3.5 3.5-3.5"/>"#,
            Self::ChevronLeft => r#"<path d="M9.5 4.5 6 8l3.5 3.5"/>"#,
            Self::ChevronRight => r#"<path d="M6.5 4.5 10 8l-3.5 3.5"/>"#,
            Self::Columns => r#"<rect x="2" y="3" width="12" height="10" rx="1"/><path d="M6 3v10M10 3v10"/>"#,
            Self::Filter => r#"<path d="M2.5 4h11M4.5 8h7M6.5 12h3"/>"#,
            Self::ForeignKey => {
                r#"<path d="M6.5 9.500 9.500 6.500M7.500 4.500l1.300-1.300a2.800 2.800 0 0 1 4 4L11.500 8.500M8.500 11.500l-1.300 1.300a2.800 2.800 0 0 1-4-4L4.500 7.500"/>"#
            }
            Self::Keyboard => {
                r#"<rect x="1.5" y="4" width="13" height="8" rx="1.500"/><path d="M4 6.500h.01M6.700 6.500h.01M9.300 6.500h.01M12 6.500h.01M5.500 9.500h5"/>"#
            }
            Self::Lock => r#"<rect x="3" y="7" width="10" height="6.500" rx="1"/><path d="M5 7V5a3 3 0 0 1 6 0v2"/>"#,
            Self::Sort => r#"<path d="M5 3v10M2.500 10.500 5 13l2.500-2.500M11 13V3M8.500 5.500 11 3l2.500 2.500"/>"#,
            Self::Sql => r#"<path d="m5.500 5-3 3 3 3M10.500 5l3 3-3 3"/>"#,
            Self::Table => r#"<rect x="2" y="3" width="12" height="10" rx="1"/><path d="M2 6.500h12M6 6.500V13"/>"#,
            Self::Unlocked => {
                r#"<rect x="3" y="7" width="10" height="6.500" rx="1"/><path d="M5 7V5a3 3 0 0 1 5.800-1"/>"#
            }
            Self::View => {
                r#"<path d="M1.500 8C3 5.200 5.200 3.800 8 3.800S13 5.200 14.500 8C13 10.800 10.800 12.200 8 12.200S3 10.800 1.500 8z"/><circle cx="8" cy="8" r="2"/>"#
            }
            Self::ChevronsUpDown => r#"<path d="m5 6 3-3 3 3M5 10l3 3 3-3"/>"#,
            Self::Close => r#"<path d="m4 4 8 8M12 4l-8 8"/>"#,
            Self::Copy => {
                r#"<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5"/>"#
            }
            Self::Dots => {
                r#"<g fill="currentColor" stroke="none"><circle cx="3.5" cy="8" r="1.1"/><circle cx="8" cy="8" r="1.1"/><circle cx="12.5" cy="8" r="1.1"/></g>"#
            }
            Self::Eye => {
                r#"<path d="M1.5 8C3 5.2 5.2 3.8 8 3.8S13 5.2 14.5 8C13 10.8 10.8 12.2 8 12.2S3 10.8 1.5 8z"/><circle cx="8" cy="8" r="2"/>"#
            }
            Self::Key => r#"<circle cx="5" cy="11" r="2.8"/><path d="m7.1 8.9 6.4-6.4M11 5l2 2M9 7l1.3 1.3"/>"#,
            Self::Menu => r#"<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11"/>"#,
            Self::Overview => {
                r#"<path d="M2.5 3.5a1 1 0 0 1 1-1h3v5h-4zM9.5 2.5h3a1 1 0 0 1 1 1v2h-4zM2.5 10.5h4v3h-3a1 1 0 0 1-1-1zM9.5 8.5h4v4a1 1 0 0 1-1 1h-3z"/>"#
            }
            Self::Plus => r#"<path d="M8 3v10M3 8h10"/>"#,
            Self::Project => r#"<path d="M8 2 14 5 8 8 2 5zM2.5 8 8 10.8 13.5 8M2.5 11 8 13.8 13.5 11"/>"#,
            Self::Refresh => r#"<path d="M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 2v3h-3"/>"#,
            Self::Search => r#"<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3 3"/>"#,
            Self::Settings => {
                r#"<path d="M2 4.5h5.5M11.5 4.5H14M2 11.5h2.5M8.5 11.5H14"/><circle cx="9.5" cy="4.5" r="2"/><circle cx="6.5" cy="11.5" r="2"/>"#
            }
            Self::Sidebar => r#"<rect x="2" y="2.5" width="12" height="11" rx="1.5"/><path d="M6 2.5v11"/>"#,
            Self::Snooze => r#"<circle cx="8" cy="8" r="5.8"/><path d="M8 4.8V8l2.2 1.4"/>"#,
            Self::Theme => {
                r#"<circle cx="8" cy="8" r="5.5"/><path d="M8 2.5v11a5.5 5.5 0 0 0 0-11z" fill="currentColor" stroke="none"/>"#
            }
            Self::Trash => r#"<path d="M2.5 4h11M6 4V2.5h4V4M4 4l.6 8.6a1 1 0 0 0 1 .9h4.8a1 1 0 0 0 1-.9L12 4"/>"#,
        }
    }
}

/// An icon beside text or in a button. It has no accessible name of its own.
#[component]
pub fn Icon(name: IconName, #[props(default)] small: bool) -> Element {
    let class = if small { "i i-s" } else { "i" };
    rsx! {
        svg { class, view_box: "0 0 16 16", "aria-hidden": "true", dangerous_inner_html: name.drawing() }
    }
}
